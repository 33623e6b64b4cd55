import { quote } from "../bytes.ts";
import { StoreError } from "../error.ts";
import { decodeNixbase32, encodeNixbase32 } from "./nixbase32.ts";

/** Where Nix keeps its store unless it was built otherwise. Paths under another directory have other digests. */
export const STORE_DIR = "/nix/store";

/** The digest and the name that a path directly under the store directory is made of. */
export interface StorePath {
  /** 20 bytes. */
  readonly digest: Uint8Array;
  /** 1 to 211 characters of `[A-Za-z0-9+\-_?=.]`. Not `.`, `..`, `.-...` or `..-...`. */
  readonly name: string;
}

/** Bytes of a store path's digest. */
export const STORE_PATH_DIGEST_LENGTH = 20;

/**
 * The rule of `checkName` in Nix 2.34. It refuses a name whose part before the first dash is `.`
 * or `..`, because a file system could take the name for a directory.
 */
const NAME_PATTERN = "(?!\\.{1,2}(?:-|$))[A-Za-z0-9+\\-_?=.]{1,211}";
const HASH_PART_PATTERN = "[0-9abcdfghijklmnpqrsvwxyz]{32}";

const HASH_PART = new RegExp(`^${HASH_PART_PATTERN}$`);
const NAME = new RegExp(`^${NAME_PATTERN}$`);
const BASE_NAME = new RegExp(`^${HASH_PART_PATTERN}-${NAME_PATTERN}$`);

/** @throws StoreError `invalid` if `name` can't follow the digest in a store path. */
export function checkStorePathName(name: string): void {
  if (!NAME.test(name)) throw new StoreError("invalid", `not a store path's name: ${quote(name)}`);
}

/**
 * Reads an absolute path directly under `storeDir`, or a base name. A path to something inside a store path is not one, nor is a
 * bare hash.
 *
 * @throws StoreError `invalid`
 */
export function parseStorePath(text: string, storeDir: string = STORE_DIR): StorePath {
  const baseName = readBaseName(text, storeDir);
  return { digest: decodeNixbase32(baseName.slice(0, 32)), name: baseName.slice(33) };
}

/** Checks that `parseStorePath` would read `text`, for less. @throws StoreError `invalid` */
export function checkStorePath(text: string, storeDir: string = STORE_DIR): void {
  readBaseName(text, storeDir);
}

function readBaseName(text: string, storeDir: string): string {
  const isAbsolute = text.startsWith(storeDir) && text[storeDir.length] === "/";
  const baseName = isAbsolute ? text.slice(storeDir.length + 1) : text;
  // 32 digits are always a digest: no bits of them are left over.
  if (!BASE_NAME.test(baseName)) throw new StoreError("invalid", `not a store path: ${quote(text)}`);
  return baseName;
}

/** The absolute path. */
export function formatStorePath(path: StorePath, storeDir: string = STORE_DIR): string {
  return `${storeDir}/${storePathBaseName(path)}`;
}

/** `<hash>-<name>`. */
export function storePathBaseName(path: StorePath): string {
  return `${storePathHashPart(path)}-${path.name}`;
}

/** The digest as 32 nixbase32 digits: what a binary cache looks a path up by. */
export function storePathHashPart(path: StorePath): string {
  return encodeNixbase32(path.digest);
}

/**
 * The hash part of what a user may give to mean a store path: the absolute path, the base name, or the hash part itself.
 *
 * @throws StoreError `invalid`
 */
export function parseHashPart(text: string, storeDir: string = STORE_DIR): string {
  if (HASH_PART.test(text)) return text;
  return storePathHashPart(parseStorePath(text, storeDir));
}
