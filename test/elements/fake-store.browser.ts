import { utf8 } from "../../src/bytes.ts";
import type { OperationOptions, PathInfo, Store } from "../../src/index.ts";
import type { ListEntry } from "../../src/store/list-entry.ts";
import type { StorageUsage } from "../../src/thread/maintenance-api.ts";

/**
 * A store that answers as the test tells. Opening a real one takes some two seconds. A method that
 * the test leaves out is missing, so that a call of it fails.
 */
export function fakeStore(parts: Partial<Store> = {}): Store {
  const fixed = { name: "fake", storage: "opfs", losses: { evicted: false, missingPacks: 0, unindexedPacks: 0 } };
  return Object.assign(new EventTarget(), fixed, parts) as unknown as Store;
}

/** Digest of 32 bytes. Nothing in the elements checks it. */
const DIGEST = new Uint8Array(32) as Extract<PathInfo["node"], { kind: "directory" }>["digest"];

export const DIRECTORY: PathInfo["node"] = { kind: "directory", digest: DIGEST, size: 1n };
export const FILE: PathInfo["node"] = { kind: "file", digest: DIGEST, size: 5n, executable: false };

/** Makes a path info. @param name also determines the hash part, which differs from name to name */
export function pathInfo(name: string, parts: Partial<PathInfo> = {}): PathInfo {
  return {
    storePath: storePathOf(name),
    node: DIRECTORY,
    narHash: "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
    narSize: 2048,
    references: [],
    signatures: [],
    ...parts,
  };
}

const ALPHABET = "0123456789abcdfghijklmnpqrsvwxyz";

/** A store path with this name. */
export function storePathOf(name: string): string {
  let hash = "";
  let state = 7;
  for (let i = 0; i < 32; i++) {
    state = (state * 31 + (name.charCodeAt(i % name.length) || 0) + i) % 65_521;
    hash += ALPHABET[state % 32];
  }
  return `/nix/store/${hash}-${name}`;
}

export const baseOf = (storePath: string): string => storePath.slice("/nix/store/".length);

/** Yields the items one after the other. */
export async function* each<T>(items: Iterable<T>): AsyncGenerator<T> {
  yield* items;
}

/** Yields nothing: rejects with `error` instead. */
// biome-ignore lint/correctness/useYield: a list that fails at once yields nothing.
export async function* failing(error: unknown): AsyncGenerator<never> {
  throw error;
}

/** An entry of a directory. @param name text, or bytes that need not be UTF-8 */
export function entry(name: string | Uint8Array, parts: Partial<ListEntry> = {}): ListEntry {
  const nameBytes = typeof name === "string" ? utf8(name) : name;
  return { name: new TextDecoder().decode(nameBytes), nameBytes, kind: "file", size: 5, executable: false, ...parts };
}

export function directory(name: string | Uint8Array): ListEntry {
  return entry(name, { kind: "directory", size: 1 });
}

export function link(name: string, target: string): ListEntry {
  return entry(name, { kind: "symlink", size: target.length, target, targetBytes: utf8(target) });
}

/** An operation that ends only when it is aborted. */
export function untilAborted({ signal }: OperationOptions = {}): Promise<never> {
  return new Promise((_, reject) => signal?.addEventListener("abort", () => reject(signal.reason)));
}

/** A promise that the test settles. */
export interface Held<T> {
  readonly promise: Promise<T>;
  resolve(value: T): void;
  reject(error: unknown): void;
}

export function held<T>(): Held<T> {
  let settle: Omit<Held<T>, "promise"> | undefined;
  const promise = new Promise<T>((resolve, reject) => {
    settle = { resolve, reject };
  });
  return { promise, ...(settle as Omit<Held<T>, "promise">) };
}

export const USAGE: StorageUsage = {
  storage: "opfs",
  storePaths: 2,
  logical: 4096,
  stored: 1024,
  objects: { chunks: { count: 3, bytes: 900 }, directories: { count: 2, bytes: 100 }, blobs: { count: 1, bytes: 24 } },
  packs: { count: 1, bytes: 3072 },
  originUsage: 10_240,
  quota: 102_400,
  persisted: false,
};
