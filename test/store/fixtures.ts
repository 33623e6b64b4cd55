import { readFileSync } from "node:fs";
import { join } from "node:path";
import { utf8 } from "../../src/bytes.ts";
import type { DirectorySizeRule } from "../../src/castore/directory.ts";
import type { IngestionEntry } from "../../src/castore/ingest.ts";
import { InlineHashEngine } from "../../src/hash/inline-engine.ts";
import { importEntries } from "../../src/store/import.ts";
import type { PathInfo } from "../../src/store/path-info.ts";
import type { StoreServices } from "../../src/store/services.ts";

/** Fixtures of real Nix, for tests of the store. */

const FIXTURES = join(import.meta.dirname, "../fixtures");

export const engine = new InlineHashEngine();

export interface NarFixture {
  name: string;
  file: string;
  size: number;
  /** SHA-256 digest in SRI form. */
  sha256: string;
  storePath: string;
}

/** NARs of single trees, with the path that `nix-store --add` gives each tree. */
export const NARS: readonly NarFixture[] = JSON.parse(readFileSync(join(FIXTURES, "nars/manifest.json"), "utf8"));

export function narFixture(fixture: NarFixture): Uint8Array {
  return new Uint8Array(readFileSync(join(FIXTURES, "nars", fixture.file)));
}

/** NARInfo files of the sample closure, dependencies first. */
export const SAMPLE: readonly string[] = (JSON.parse(readFileSync(join(FIXTURES, "sample/index.json"), "utf8")) as string[]).map(
  (file) => readFileSync(join(FIXTURES, "sample", file), "utf8"),
);

export function sampleNar(narInfo: string): Uint8Array {
  const url = /^URL: (.*)$/m.exec(narInfo)?.[1] ?? "";
  return new Uint8Array(readFileSync(join(FIXTURES, "sample", url)));
}

/**
 * Yields `bytes` in pieces. Records how many pieces were read, and whether the reader returned
 * early.
 */
export class Source implements AsyncIterable<Uint8Array> {
  returned = false;
  pulled = 0;
  readonly #bytes: Uint8Array;
  readonly #pieceLength: number;

  constructor(bytes: Uint8Array, pieceLength = 1000) {
    this.#bytes = bytes;
    this.#pieceLength = pieceLength;
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    let offset = 0;
    return {
      next: async () => {
        this.pulled++;
        if (offset >= this.#bytes.length) return { done: true, value: undefined };
        const value = this.#bytes.slice(offset, offset + this.#pieceLength);
        offset += this.#pieceLength;
        return { done: false, value };
      },
      return: async () => {
        this.returned = true;
        return { done: true, value: undefined };
      },
    };
  }
}

/** Reads all of `stream`. */
export async function collect(stream: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Returns the error that `promise` rejects with. */
export async function failure(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error("it should have failed");
}

/** The same store, but it accepts new trees of one size rule only. */
export function withSizeRule<S extends StoreServices>(store: S, sizeRule: DirectorySizeRule): S {
  const { directories } = store;
  return {
    ...store,
    directories: {
      get: (digest, options) => directories.get(digest, options),
      getClosure: (digest, options) => directories.getClosure(digest, options),
      put: (closure, options) => directories.put(closure, options),
      sizeRules: async () => [sizeRule],
    },
  };
}

/** Imports `files`, given by their paths, as a store path. */
export function importFiles(
  store: StoreServices,
  name: string,
  files: Record<string, Uint8Array>,
  sizeRule?: DirectorySizeRule,
): Promise<PathInfo> {
  return importEntries(
    sizeRule ? withSizeRule(store, sizeRule) : store,
    engine,
    async function* (uploader): AsyncGenerator<IngestionEntry> {
      let open: string[] = [];
      /** Ends the directories that don't contain `names`, the deepest first. */
      const leave = function* (names: string[]): Generator<IngestionEntry> {
        while (open.some((name, level) => names[level] !== name)) {
          yield { kind: "directory", path: open.map(utf8) };
          open = open.slice(0, -1);
        }
      };
      for (const path of Object.keys(files).sort()) {
        const names = path.split("/");
        yield* leave(names);
        open = names.slice(0, -1);
        uploader.begin();
        uploader.write(files[path] as Uint8Array);
        yield { kind: "file", path: names.map(utf8), executable: false, contents: uploader.end() };
        await uploader.drain();
      }
      yield* leave([]);
      yield { kind: "directory", path: [] };
    },
    { name },
  );
}
