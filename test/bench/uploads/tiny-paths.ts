import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { NarWriter } from "../../../src/nix/nar-writer.ts";
import { nix } from "../../setup/tools.ts";
import { type PathUpload, pathUpload } from "./put-paths.ts";

/** Store paths of a few bytes each, in a private Nix store and as uploads. */
export class TinyPaths {
  readonly uploads: readonly PathUpload[];
  readonly #dir: string;
  readonly #paths: readonly string[];

  private constructor(uploads: readonly PathUpload[], dir: string, paths: readonly string[]) {
    this.uploads = uploads;
    this.#dir = dir;
    this.#paths = paths;
  }

  static async make(dir: string, count: number): Promise<TinyPaths> {
    const from = join(dir, "files");
    await mkdir(from, { recursive: true });
    const contents = Array.from({ length: count }, (_, i) => Buffer.from(`the content of file ${i}\n`));
    for (const [i, content] of contents.entries()) await writeFile(join(from, `tiny-${i}`), content);
    const store = join(dir, "store");
    const added = await nix(["nix-store", "--add", ...contents.map((_, i) => join(from, `tiny-${i}`))], { dir: store });
    const uploads = contents.map((content, i) => pathUpload(i, narOf(content)));
    return new TinyPaths(uploads, store, added.toString().trim().split("\n"));
  }

  /**
   * Lets Nix copy all paths to a cache.
   *
   * @returns seconds
   */
  async copy(cache: string): Promise<number> {
    const from = performance.now();
    await nix(["nix", "copy", "--to", cache, ...this.#paths], { dir: this.#dir });
    const seconds = (performance.now() - from) / 1000;
    // Nix caches which paths a binary cache has, and the next binary cache may have the same URL.
    await rm(join(this.#dir, "home/.cache"), { recursive: true, force: true });
    return seconds;
  }
}

function narOf(content: Uint8Array): Uint8Array {
  const pieces: Uint8Array[] = [];
  const writer = new NarWriter((piece) => pieces.push(piece.slice()));
  writer.file(content.length, false);
  writer.content(content);
  writer.endFile();
  writer.end();
  return Buffer.concat(pieces);
}
