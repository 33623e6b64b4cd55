import { afterEach, expect } from "vitest";
import { concatBytes, equalBytes } from "../../src/bytes.ts";
import { type OpenStoreOptions, openStore, type PathInfo, type Store } from "../../src/index.ts";
import { readAll } from "../conformance/content.ts";
import { hasOpfs } from "../conformance/packed-backend.browser.ts";
import { long, narOf, type Tree } from "../worker/trees.ts";

/** Where a store keeps its content. */
export type Storage = "opfs" | "indexeddb";
/** The storages that this browser has. */
export const STORAGES: readonly Storage[] = (await hasOpfs()) ? ["opfs", "indexeddb"] : ["indexeddb"];

const opened: Store[] = [];
afterEach(async () => {
  for (const store of opened.splice(0)) await store.close();
});

/** Opens a store until the end of the test. */
export async function open(name: string = crypto.randomUUID(), options: OpenStoreOptions = {}): Promise<Store> {
  const store = await openStore(name, { workers: 1, ...options });
  opened.push(store);
  return store;
}

/** A tree with a file of several chunks. */
export const TREE = { large: long(1), sub: { text: "below" }, text: "text" } satisfies Tree;

export function put(store: Store, root: Tree | string | Uint8Array, name = "tree"): Promise<PathInfo> {
  return store.importNar(new Blob(narOf(root)), { name });
}

/** Checks the content of a store path. */
export async function expectWhole(store: Store, info: PathInfo, root: Tree | string | Uint8Array): Promise<void> {
  const nar = await readAll(store.nar(info.storePath));
  expect(nar && equalBytes(nar, concatBytes(narOf(root)))).toBe(true);
}

export async function expectClean(store: Store): Promise<void> {
  expect(await store.verify()).toMatchObject({ corrupt: [], missing: [], storePaths: [], refetched: 0 });
}

export async function collectAll<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

export function nextChange(store: Store): Promise<Event> {
  return new Promise((resolve) => store.addEventListener("change", resolve, { once: true }));
}

/** The directory with the packs of a store. */
export async function opfsDirectory(name: string): Promise<FileSystemDirectoryHandle> {
  const root = await navigator.storage.getDirectory();
  return (await root.getDirectoryHandle("tvix-store-web")).getDirectoryHandle(name);
}

/** Sum of the sizes of all packs of a store that are files. */
export async function packBytes(name: string): Promise<number> {
  const directory = await opfsDirectory(name);
  const files = await Promise.all((await packFiles(name)).map((file) => directory.getFileHandle(file)));
  const sizes = await Promise.all(files.map(async (file) => (await file.getFile()).size));
  return sizes.reduce((sum, size) => sum + size, 0);
}

/** Names of the packs of a store that are files; none for a store in the database. */
export async function packFiles(name: string): Promise<string[]> {
  return opfsDirectory(name).then(
    (directory) => collectAll(directory.keys()),
    () => [],
  );
}
