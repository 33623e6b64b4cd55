/** A real tree, of what any Debian machine has: the first part of /usr in the order of its names. */

import { copyFileSync, lstatSync, mkdirSync, readdirSync, readlinkSync, symlinkSync } from "node:fs";

/** In this order, because it is as mixed as sources and programs are; what is left out is large and compressed. */
const ROOTS = ["include", "lib", "share", "bin"];
const LEAST_FILES = 24_000;
const LEAST_BYTES = 300e6;
/** Bytes; larger files are left out, or a few of them would be most of it. */
const LARGEST_FILE = 1024 * 1024;

/** Tells of the recipe: what is kept of another one is made anew. */
export const TREE_NAME = `tree-${LEAST_FILES}-${LEAST_BYTES}-${LARGEST_FILE}-${ROOTS.join("-")}`;

export interface TreeSummary {
  readonly files: number;
  readonly symlinks: number;
  readonly directories: number;
  readonly bytes: number;
}

/** Copies regular files, symlinks and directories to `to`, which it makes. Times, owners and rights other than "executable" don't count. */
export function copyTree(to: string): TreeSummary {
  const summary = { files: 0, symlinks: 0, directories: 1, bytes: 0 };
  const isFull = (): boolean => summary.files >= LEAST_FILES && summary.bytes >= LEAST_BYTES;
  // Names are bytes.
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
  if (!isFull()) throw new Error(`/usr has only ${summary.files} files of ${summary.bytes} bytes, which is too few for the tree`);
  return summary;
}

/** For everyone, so that the tree is the same whoever runs this. */
function isReadable(mode: number): boolean {
  return (mode & 0o004) !== 0;
}

function entries(directory: Buffer): Buffer[] {
  return readdirSync(directory, { encoding: "buffer" }).sort(Buffer.compare);
}

function join(directory: Buffer, name: Buffer): Buffer {
  return Buffer.concat([directory, Buffer.from("/"), name]);
}
