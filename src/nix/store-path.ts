import { quote } from "../bytes.ts";
import { StoreError } from "../error.ts";
import { decodeNixbase32, encodeNixbase32 } from "./nixbase32.ts";

/**
 * Nix's store directory unless it was built with another one. Paths in other directories have other
 * digests.
 */
export const STORE_DIR = "/nix/store";

/** The digest and the name of a path directly in the store directory. */
export interface StorePath {
  /** The digest, 20 bytes. */
  readonly digest: Uint8Array;
  /** 1 to 211 characters of `[A-Za-z0-9+\-_?=.]`. Not `.`, `..`, `.-...` or `..-...`. */
  readonly name: string;
}

/** Length of a store path's digest, in bytes. */
export const STORE_PATH_DIGEST_LENGTH = 20;

/**
 * The rule of `checkName` in Nix 2.34. It refuses a name whose part before the first dash is `.` or
 * `..`, because a file system could take the name for a directory.
 */
const NAME_PATTERN = "(?!\\.{1,2}(?:-|$))[A-Za-z0-9+\\-_?=.]{1,211}";
const HASH_PART_PATTERN = "[0-9abcdfghijklmnpqrsvwxyz]{32}";

const HASH_PART = new RegExp(`^${HASH_PART_PATTERN}$`);
const NAME = new RegExp(`^${NAME_PATTERN}$`);
const BASE_NAME = new RegExp(`^${HASH_PART_PATTERN}-${NAME_PATTERN}$`);

/** @throws StoreError `invalid` if `name` can't follow the digest in a store path */
export function checkStorePathName(name: string): void {
  if (!NAME.test(name)) throw new StoreError("invalid", `not a valid store path name: ${quote(name)}`);
}

/**
 * Reads an absolute path directly in `storeDir`, or a base name. Refuses a path inside a store path
 * and a hash part alone.
 *
 * @throws StoreError `invalid`
 */
export function parseStorePath(text: string, storeDir: string = STORE_DIR): StorePath {
  const baseName = readBaseName(text, storeDir);
  return { digest: decodeNixbase32(baseName.slice(0, 32)), name: baseName.slice(33) };
}

/**
 * Checks that `parseStorePath` would accept `text`, at a lower cost.
 *
 * @throws StoreError `invalid`
 */
export function checkStorePath(text: string, storeDir: string = STORE_DIR): void {
  readBaseName(text, storeDir);
}

function readBaseName(text: string, storeDir: string): string {
  const isAbsolute = text.startsWith(storeDir) && text[storeDir.length] === "/";
  const baseName = isAbsolute ? text.slice(storeDir.length + 1) : text;
  // 32 digits are always a valid digest, because they leave no bits unused.
  if (!BASE_NAME.test(baseName)) throw new StoreError("invalid", `not a store path: ${quote(text)}`);
  return baseName;
}

/** Returns the absolute path. */
export function formatStorePath(path: StorePath, storeDir: string = STORE_DIR): string {
  return `${storeDir}/${storePathBaseName(path)}`;
}

/** Returns `<hash part>-<name>`. */
export function storePathBaseName(path: StorePath): string {
  return `${storePathHashPart(path)}-${path.name}`;
}

/** Returns the digest as 32 nixbase32 digits, by which a binary cache looks up a path. */
export function storePathHashPart(path: StorePath): string {
  return encodeNixbase32(path.digest);
}

/**
 * Returns the hash part of a store path, from any text by which a user may name one: the absolute
 * path, the base name, or the hash part itself.
 *
 * @throws StoreError `invalid`
 */
export function parseHashPart(text: string, storeDir: string = STORE_DIR): string {
  if (HASH_PART.test(text)) return text;
  return storePathHashPart(parseStorePath(text, storeDir));
}
