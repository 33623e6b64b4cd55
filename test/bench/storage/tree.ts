/** Real trees that every Debian machine has: the first part of /usr, in the order of names. */

import { copyFileSync, lstatSync, mkdirSync, readdirSync, readlinkSync, symlinkSync } from "node:fs";

/** Directories of /usr, in this order. They contain a mix of sources and programs. */
const ROOTS = ["include", "lib", "share", "bin"];
const LEAST_FILES = 24_000;
/** Total size that the files reach at least, without large files, in bytes. */
const LEAST_BYTES = 300e6;
/** Size above which a file is large, in bytes. */
const LARGE_FILE = 1024 * 1024;

/** The recipe of a tree. */
export interface TreeRecipe {
  /** Name that identifies the recipe. If the recipe changes, the tree is created again. */
  readonly name: string;
  /**
   * Total size of large files, in bytes. A large file that would exceed it is left out. Otherwise a
   * few files would make up most of the tree.
   */
  readonly largeBytes: number;
}

const NAME = `tree-${LEAST_FILES}-${LEAST_BYTES}-${LARGE_FILE}-${ROOTS.join("-")}`;
/** 24,000 files, none of them large. */
export const SMALL_TREE: TreeRecipe = { name: NAME, largeBytes: 0 };
/** The files of `SMALL_TREE`, and large files so that the NAR has some 1 GB. */
export const LARGE_TREE: TreeRecipe = { name: `${NAME}-large-650e6`, largeBytes: 650e6 };

export interface TreeSummary {
  readonly files: number;
  readonly symlinks: number;
  readonly directories: number;
  readonly bytes: number;
}

/**
 * Copies regular files, symlinks and directories to `to`, which it creates. Ignores times, owners
 * and permissions except "executable".
 *
 * @throws Error if /usr has too few files
 */
export function copyTree(to: string, { largeBytes }: TreeRecipe): TreeSummary {
  const summary = { files: 0, symlinks: 0, directories: 1, bytes: 0 };
  const small = { files: 0, bytes: 0 };
  let large = 0;
  const isFull = (): boolean => small.files >= LEAST_FILES && small.bytes >= LEAST_BYTES;
  // File names are bytes.
  const copy = (from: Buffer, target: Buffer): void => {
    const stats = lstatSync(from);
    if (stats.isDirectory()) {
      mkdirSync(target);
      summary.directories++;
      for (const name of entries(from)) {
        if (isFull()) return;
        copy(join(from, name), join(target, name));
      }
    } else if (stats.isSymbolicLink()) {
      symlinkSync(readlinkSync(from, { encoding: "buffer" }), target);
      summary.symlinks++;
    } else if (stats.isFile() && isReadable(stats.mode)) {
      if (stats.size <= LARGE_FILE) {
        small.files++;
        small.bytes += stats.size;
      } else if (large + stats.size <= largeBytes) large += stats.size;
      else return;
      copyFileSync(from, target);
      summary.files++;
      summary.bytes += stats.size;
    }
  };
  mkdirSync(to);
  for (const root of ROOTS) {
    if (!isFull()) copy(Buffer.from(`/usr/${root}`), Buffer.from(`${to}/${root}`));
  }
  if (!isFull() || large < 0.9 * largeBytes) {
    throw new Error(`/usr has only ${summary.files} files with ${summary.bytes} bytes in total, which is too little for the tree`);
  }
  return summary;
}

/**
 * Whether everybody may read the file. Files that only some users can read are left out, so that
 * every user gets the same tree.
 */
function isReadable(mode: number): boolean {
  return (mode & 0o004) !== 0;
}

function entries(directory: Buffer): Buffer[] {
  return readdirSync(directory, { encoding: "buffer" }).sort(Buffer.compare);
}

function join(directory: Buffer, name: Buffer): Buffer {
  return Buffer.concat([directory, Buffer.from("/"), name]);
}
