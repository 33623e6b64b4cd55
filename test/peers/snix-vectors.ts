import { readFileSync } from "node:fs";
import { join } from "node:path";
import { compareBytes, fromBase64, utf8 } from "../../src/bytes.ts";
import type { BlobUploader } from "../../src/castore/blob-uploader.ts";
import type { IngestionEntry } from "../../src/castore/ingest.ts";

/** A tree as a real snix-store encoded it. Byte strings are in Base64. */
export interface SnixTree {
  readonly name: string;
  readonly tree: Readonly<Record<string, readonly ["d"] | readonly ["l", string] | readonly ["f", string, boolean]>>;
  readonly storePath: string;
  readonly narSize: number;
  readonly narSha256: string;
  readonly rootDigest: string;
  readonly rootSize: number;
  /** Serialized Directory messages, root first. */
  readonly directories: readonly string[];
}

/**
 * Seven trees that were imported into snix-store (2025-12). These are the results that it stored.
 */
export const SNIX_TREES: readonly SnixTree[] = JSON.parse(
  readFileSync(join(import.meta.dirname, "../fixtures/snix-directories.json"), "utf8"),
).cases;

export function bytesOf(text: string): Uint8Array {
  return fromBase64(text);
}

/** Yields the entries of a tree, the contents of each directory before the directory. */
export async function* treeEntries({ tree }: SnixTree, uploader: BlobUploader): AsyncGenerator<IngestionEntry> {
  const below = async function* (path: readonly string[]): AsyncGenerator<IngestionEntry> {
    const prefix = path.map((name) => `${name}/`).join("");
    const names = Object.keys(tree)
      .filter((key) => key.startsWith(prefix) && !key.slice(prefix.length).includes("/"))
      .sort((a, b) => compareBytes(utf8(a), utf8(b)));
    for (const key of names) {
      const child = [...path, key.slice(prefix.length)];
      const node = tree[key] as SnixTree["tree"][string];
      const bytes = child.map(utf8);
      if (node[0] === "d") yield* below(child);
      else if (node[0] === "l") yield { kind: "symlink", path: bytes, target: utf8(node[1]) };
      else {
        uploader.begin();
        uploader.write(utf8(node[1]));
        yield { kind: "file", path: bytes, executable: node[2], contents: uploader.end() };
        await uploader.drain();
      }
    }
    yield { kind: "directory", path: path.map(utf8) };
  };
  yield* below([]);
}
