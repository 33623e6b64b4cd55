import type { ByteRange } from "../byte-range.ts";
import { quote } from "../bytes.ts";
import { StoreError } from "../error.ts";
import { checkedRange } from "../hash/group-tree.ts";

/**
 * Objects under keys: the files of a directory, or the objects of a bucket. The layouts of blobs,
 * chunks and directory closures lie above it, and so does compression. An ObjectStore knows no
 * digests and verifies nothing.
 *
 * A key is text whose parts are separated by slashes, such as `chunks/b3/00ab/00ab...`: see
 * `isObjectKey`. No key may continue another key with a slash, because a file system can't hold
 * both `a` and `a/b`.
 *
 * Rules for every implementation (src/conformance checks them):
 * - Any number of calls may run at once. The store limits how many requests or files it opens.
 * - If a call gets a signal that is already aborted, it rejects with the signal's reason.
 * - Failures are StoreErrors: `denied` or `unavailable` if the storage refuses or can't be reached,
 *   `quota` if it is full, `closed` after it was closed, `invalid` if a key is not valid.
 */
export interface ObjectStore {
  /**
   * Reads an object, or the part of it that lies in `range`. The caller owns the bytes. Resolves to
   * `undefined` if the key has no object.
   *
   * @throws StoreError `corrupt` if the object, or its part, is longer than `limit`, or if it
   *   changes while it is read
   */
  get(key: string, options: GetObjectOptions): Promise<Uint8Array | undefined>;

  /** Tells whether the key has an object. */
  has(key: string, options?: ObjectStoreOptions): Promise<boolean>;

  /**
   * Stores one object as a whole: no reader ever sees a part of it. Resolves when the object
   * survives a crash of the storage. The objects of all calls of `putMany` that resolved before
   * this call then survive a crash too. The store may keep `bytes` without a copy, so the caller
   * must not change them afterwards.
   *
   * @returns whether it wrote the object; `false` only with `ifAbsent`, if the object existed
   */
  put(key: string, bytes: Uint8Array, options?: PutObjectOptions): Promise<boolean>;

  /**
   * Stores objects whose keys determine their content, such as digests. An object that exists is
   * replaced, or stays as it is. As with `put`, no reader sees a part of an object, and the caller
   * must not change the bytes afterwards.
   *
   * An object of a group becomes visible, and survives a crash, only if all objects of the earlier
   * groups do. After an error this still holds, and any part of the objects may have been stored.
   * Resolves when all of the objects can be read and survive a crash. There is one exception:
   * `StagedObjectStore.putMany` resolves when the objects can be read, and its `flush` resolves
   * when they survive a crash.
   *
   * `putMany` exists beside `put` because a file system needs milliseconds to flush one file, but
   * hardly more to flush a thousand. An implementation with a journal can even make all groups
   * durable with one flush. With one call for each group, it could not.
   */
  putMany(groups: readonly ObjectGroup[], options?: ObjectStoreOptions): Promise<void>;

  /**
   * Lists the objects whose keys start with `prefix`, which may be empty or end within a part.
   * Yields them in ascending order of the keys' characters. If an object is stored or deleted
   * during the iteration, the list may or may not contain it. Only a store in memory may hold all
   * keys at once. Other stores hold one page of the listing, or the names in the directories on the
   * way to the current object.
   */
  list(prefix: string, options?: ObjectStoreOptions): AsyncIterable<ObjectInfo>;
}

export interface ObjectStoreOptions {
  signal?: AbortSignal | undefined;
}

export interface GetObjectOptions extends ObjectStoreOptions {
  /** Maximum length of the answer, in bytes: other programs may have written longer objects. */
  limit: number;
  /**
   * The bytes to read; by default all of them. The answer is shorter if the object ends before the
   * range does, and empty if it ends before the range begins.
   */
  range?: ByteRange | undefined;
}

export interface PutObjectOptions extends ObjectStoreOptions {
  /**
   * Whether to leave an existing object as it is; `false` by default. If several callers put the
   * same key at once, one of them writes the object. On a file system without hard links,
   * `FileObjectStore` can't guarantee this.
   */
  ifAbsent?: boolean | undefined;
}

/** Objects by their keys. */
export type ObjectGroup = ReadonlyMap<string, Uint8Array>;

export interface ObjectInfo {
  readonly key: string;
  /** Length of the object in bytes. */
  readonly size: number;
}

/** The longest key that S3 takes. */
const MAX_KEY_LENGTH = 1024;
const KEY = /^[A-Za-z0-9_-][A-Za-z0-9._-]*(?:\/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$/;

/**
 * Whether `key` has at most 1024 characters, and consists of parts between single slashes. A part
 * has letters, digits, `.`, `_` and `-`, and does not begin with a dot. Every storage takes these
 * keys as they are, and sorts them in the same order. There is one exception: file systems refuse a
 * part of more than 255 characters.
 */
export function isObjectKey(key: string): boolean {
  return key.length <= MAX_KEY_LENGTH && KEY.test(key);
}

/**
 * Checks the form of a key.
 *
 * @throws StoreError `invalid` if `isObjectKey` is false
 */
export function checkObjectKey(key: string): void {
  if (!isObjectKey(key)) throw new StoreError("invalid", `${quote(key)} is not the key of an object`);
}

/**
 * Returns the part of an object of `size` bytes that `range` selects.
 *
 * @throws StoreError `invalid` if the range is negative or not whole; `corrupt` if the part is
 *   longer than `limit`
 */
export function partOfObject(key: string, size: number, { range, limit }: GetObjectOptions): { offset: number; length: number } {
  const { offset, length } = checkedRange(range ?? { offset: 0, length: Number.POSITIVE_INFINITY });
  const start = Math.min(offset, size);
  const part = { offset: start, length: Math.min(length, size - start) };
  if (part.length > limit)
    throw new StoreError("corrupt", `the object ${key} has ${part.length} bytes, more than the ${limit} allowed`);
  return part;
}
