/**
 * Generated files. Node uses them for archives, and a page uses them for peers that don't read
 * archives.
 */

/** Creates a file of 200 bytes to 2.6 KiB. Each index gives another content. */
export function smallFile(index: number): Uint8Array<ArrayBuffer> {
  let state = (Math.imul(index + 1, 0x9e3779b1) | 1) >>> 0;
  const length = 200 + (state % 2461);
  const words = new Uint32Array(Math.ceil(length / 4));
  for (let i = 0; i < words.length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[i] = state;
  }
  // Different indexes may give the same state, so make the content unique.
  words[0] = index;
  return new Uint8Array(words.buffer, 0, length);
}

/** Creates one of the shortest files that are still distinct. */
export function tinyFile(index: number): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`tiny ${index}\n`);
}

const PER_DIRECTORY = 100;
const TINY_PER_DIRECTORY = 1000;

export interface FileSet {
  /** Name under which its archive or folder is kept. */
  readonly name: string;
  readonly count: number;
  readonly perDirectory: number;
  content(index: number): Uint8Array<ArrayBuffer>;
}

export function smallFiles(count: number): FileSet {
  return { name: `small-${count}`, count, perDirectory: PER_DIRECTORY, content: smallFile };
}

export function tinyFiles(count: number): FileSet {
  return { name: `tiny-${count}`, count, perDirectory: TINY_PER_DIRECTORY, content: tinyFile };
}

/** Returns the name of a directory in the root. The names ascend with the index. */
export function directoryName(index: number, { perDirectory }: FileSet): string {
  return `d${String(Math.floor(index / perDirectory)).padStart(5, "0")}`;
}

export function fileName(index: number, { perDirectory }: FileSet): string {
  return `f${String(index % perDirectory).padStart(3, "0")}`;
}

export function filePath(index: number, set: FileSet): string {
  return `${directoryName(index, set)}/${fileName(index, set)}`;
}
