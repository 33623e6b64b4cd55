import { viewOf } from "../../bytes.ts";
import { type Digest, digestKey, digestOf, formatDigest } from "../../castore/digest.ts";
import type { DirectoryStore } from "../../castore/directory-store.ts";
import { StoreError } from "../../error.ts";
import { Turn } from "../../turn.ts";
import { decompressZstd } from "../zstd.ts";

/**
 * Maximum size of a closure before compression, in bytes. It is enough for more than a million
 * entries. Larger ones would take too much memory, because a closure is read as a whole.
 */
export const MAX_CLOSURE_SIZE = 64 * 1024 * 1024;
/** Maximum number of directories in a closure. */
export const MAX_CLOSURE_DIRECTORIES = 256 * 1024;
/**
 * Maximum size of a compressed closure, in bytes. zstd adds a little to data that it can't
 * compress.
 */
export const MAX_CLOSURE_OBJECT_SIZE = MAX_CLOSURE_SIZE + MAX_CLOSURE_SIZE / 128;

/** Size of the length field before each directory, in bytes. */
export const LENGTH_SIZE = 4;
/** Estimated memory for each directory besides its encoding, in bytes. */
const DIRECTORY_COST = 120;

/**
 * Joins encoded directories, the root first. Before each one comes its length in bytes, as a
 * big-endian number of 32 bits.
 */
export function joinDirectories(directories: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(directories.reduce((sum, { length }) => sum + LENGTH_SIZE + length, 0));
  const view = viewOf(joined);
  let at = 0;
  for (const bytes of directories) {
    view.setUint32(at, bytes.length);
    joined.set(bytes, at + LENGTH_SIZE);
    at += LENGTH_SIZE + bytes.length;
  }
  return joined;
}

/** The directories of one closure, encoded, in memory. */
export class ReadClosure {
  readonly root: Digest;
  /** Memory that the closure takes, in bytes. */
  readonly cost: number;
  readonly #directories: readonly Uint8Array[];
  #byDigest: Promise<ReadonlyMap<string, Uint8Array>> | undefined;

  /**
   * Reads the object of the closure of `root`. Does not verify the directories.
   *
   * @throws StoreError `corrupt` if the object is damaged, or the closure has more than 64 MiB or
   *   262,144 directories
   */
  constructor(root: Digest, object: Uint8Array) {
    const what = `the closure of directory ${formatDigest(root)}`;
    const bytes = decompressZstd(object, MAX_CLOSURE_SIZE, what);
    this.root = root;
    this.#directories = split(bytes, what);
    this.cost = bytes.length + this.#directories.length * DIRECTORY_COST;
  }

  /** Returns the closure as a DirectoryStore that rejects writes. */
  asStore(): DirectoryStore {
    return {
      getMany: (digests) => this.#getMany(digests),
      putMany: () => Promise.reject(new StoreError("internal", "a closure is written as a whole")),
    };
  }

  async #getMany(digests: readonly Digest[]): Promise<(Uint8Array | undefined)[]> {
    const rootKey = digestKey(this.root);
    const keys = digests.map(digestKey);
    // The first directory has to be the root. If only the root is wanted, don't hash the other
    // directories.
    if (keys.every((key) => key === rootKey)) return keys.map(() => this.#directories[0]);
    this.#byDigest ??= indexed(this.#directories);
    const byDigest = await this.#byDigest;
    return keys.map((key) => byDigest.get(key));
  }
}

function split(bytes: Uint8Array, what: string): Uint8Array[] {
  const view = viewOf(bytes);
  const directories: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = at + LENGTH_SIZE <= bytes.length ? view.getUint32(at) : Number.POSITIVE_INFINITY;
    const start = at + LENGTH_SIZE;
    if (start + length > bytes.length) throw new StoreError("corrupt", `${what} is cut short`);
    directories.push(bytes.subarray(start, start + length));
    if (directories.length > MAX_CLOSURE_DIRECTORIES)
      throw new StoreError("corrupt", `${what} has more than ${MAX_CLOSURE_DIRECTORIES} directories`);
    at = start + length;
  }
  if (directories.length === 0) throw new StoreError("corrupt", `${what} is empty`);
  return directories;
}

async function indexed(directories: readonly Uint8Array[]): Promise<ReadonlyMap<string, Uint8Array>> {
  const byDigest = new Map<string, Uint8Array>();
  const turn = new Turn();
  for (const bytes of directories) {
    await turn.pass();
    byDigest.set(digestKey(digestOf(bytes)), bytes);
  }
  return byDigest;
}
