/** A real tree that every Debian machine has: the first part of /usr, in the order of names. */

import { copyFileSync, lstatSync, mkdirSync, readdirSync, readlinkSync, symlinkSync } from "node:fs";

/**
 * Directories of /usr, in this order. They contain a mix of sources and programs. Large, compressed
 * files are left out.
 */
const ROOTS = ["include", "lib", "share", "bin"];
const LEAST_FILES = 24_000;
const LEAST_BYTES = 300e6;
/**
 * Maximum size of a file, in bytes. Otherwise a few larger files would make up most of the tree.
 */
const LARGEST_FILE = 1024 * 1024;

/** Name that identifies the recipe. If the recipe changes, the tree is created again. */
export const TREE_NAME = `tree-${LEAST_FILES}-${LEAST_BYTES}-${LARGEST_FILE}-${ROOTS.join("-")}`;

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
export function copyTree(to: string): TreeSummary {
  const summary = { files: 0, symlinks: 0, directories: 1, bytes: 0 };
  const isFull = (): boolean => summary.files >= LEAST_FILES && summary.bytes >= LEAST_BYTES;
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
    } else if (stats.isFile() && stats.size <= LARGEST_FILE && isReadable(stats.mode)) {
      copyFileSync(from, target);
      summary.files++;
      summary.bytes += stats.size;
    }
  };
  mkdirSync(to);
  for (const root of ROOTS) {
    if (!isFull()) copy(Buffer.from(`/usr/${root}`), Buffer.from(`${to}/${root}`));
  }
  if (!isFull())
    throw new Error(`/usr has only ${summary.files} files with ${summary.bytes} bytes in total, which is too little for the tree`);
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
