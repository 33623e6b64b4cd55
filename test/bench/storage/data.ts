/**
 * Data to import. It is created once and kept between runs: some gigabytes in the temporary
 * directory. The file names identify the recipe.
 */

import { createCipheriv } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeFileNar, writeFolder, writeNar, writeTar } from "./archives.ts";
import { dumpToFile, run } from "./native.ts";
import { type FileSet, smallFiles } from "./small-files.ts";
import { copyTree, SMALL_TREE, type TreeRecipe, type TreeSummary } from "./tree.ts";

/** Version of the recipes. Increase it if a recipe changes but its name doesn't. */
const RECIPES = 1;
export const LARGE_SIZE = 1024 * 1024 * 1024;
/** Offset of the file's content in its NAR: after six tokens and a length. */
export const LARGE_OFFSET = 96;

export interface TreeData extends TreeSummary {
  /** Path of the directory, whose base name is `tree`. */
  readonly path: string;
  readonly nar: string;
  readonly tar: string;
}

export class Data {
  /**
   * Directory of the data; `TVIX_BENCH_DATA` can set another one. It should be on the same disk as
   * the browsers' profiles.
   */
  readonly #dir = process.env.TVIX_BENCH_DATA || join(tmpdir(), "tvix-store-web-bench-data");
  readonly #note: (text: string) => void;

  constructor(note: (text: string) => void) {
    this.#note = note;
  }

  async tree(recipe: TreeRecipe = SMALL_TREE): Promise<TreeData> {
    const dir = await this.#kept(recipe.name, async (dir) => {
      await mkdir(dir);
      await writeFile(join(dir, "summary.json"), JSON.stringify(copyTree(join(dir, "tree"), recipe)));
      await dumpToFile(join(dir, "tree"), join(dir, "tree.nar"));
      const flags = ["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--mtime=@1"];
      await run("tar", [...flags, "-C", dir, "-cf", join(dir, "tree.tar"), "tree"]);
    });
    const summary = JSON.parse(await readFile(join(dir, "summary.json"), "utf8")) as TreeSummary;
    return { ...summary, path: join(dir, "tree"), nar: join(dir, "tree.nar"), tar: join(dir, "tree.tar") };
  }

  nar(set: FileSet): Promise<string> {
    return this.#kept(`${set.name}.nar`, (path) => writeNar(path, set));
  }

  tar(set: FileSet): Promise<string> {
    return this.#kept(`${set.name}.tar`, (path) => writeTar(path, set));
  }

  /** Creates a folder of small files. */
  folder(count: number): Promise<string> {
    const set = smallFiles(count);
    return this.#kept(set.name, (path) => writeFolder(path, set));
  }

  /** Creates a NAR of one file of `LARGE_SIZE` bytes without repetitions. */
  large(): Promise<string> {
    return this.#kept("large.nar", (path) => {
      const piece = Buffer.alloc(4 * 1024 * 1024);
      const cipher = createCipheriv("aes-128-ctr", Buffer.alloc(16, 1), Buffer.alloc(16));
      const pieces = function* (): Generator<Uint8Array> {
        for (let made = 0; made < LARGE_SIZE; made += piece.length) yield cipher.update(piece);
      };
      writeFileNar(path, LARGE_SIZE, pieces());
    });
  }

  async #kept(name: string, make: (path: string) => void | Promise<void>): Promise<string> {
    const dir = join(this.#dir, `v${RECIPES}`);
    const path = join(dir, name);
    if (existsSync(path)) return path;
    this.#note(`creating ${path}, which is kept for later runs`);
    await mkdir(dir, { recursive: true });
    const unfinished = `${path}.${process.pid}`;
    try {
      await make(unfinished);
      await rename(unfinished, path);
    } catch (error) {
      await rm(unfinished, { recursive: true, force: true });
      throw error;
    }
    return path;
  }
}
