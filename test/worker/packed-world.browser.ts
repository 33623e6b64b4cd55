/**
 * Stores with known content for tests of the storage engine, and functions to inspect and damage
 * them.
 */

import { expect } from "vitest";
import { equalBytes } from "../../src/bytes.ts";
import { type Digest, formatDigest } from "../../src/castore/digest.ts";
import { decodeDirectory } from "../../src/castore/directory-codec.ts";
import { InlineHashEngine } from "../../src/hash/inline-engine.ts";
import { importNar } from "../../src/store/import.ts";
import { calculateNar } from "../../src/store/nar.ts";
import type { PathInfo } from "../../src/store/path-info.ts";
import type { LocalStoreServices } from "../../src/store/services.ts";
import { decodeBlob } from "../../src/worker/blob-object.ts";
import type { StoreName } from "../../src/worker/database.ts";
import { collectGarbage } from "../../src/worker/garbage.ts";
import { BLOB, CHUNK, DIRECTORY, NONE, type ObjectKind } from "../../src/worker/object-table.ts";
import { packedReader, writePacked } from "../../src/worker/packed-services.ts";
import type { PackedStore } from "../../src/worker/packed-store.ts";
import { verifyStore } from "../../src/worker/verify.ts";
import { hasOpfs, openPacked } from "../conformance/packed-backend.browser.ts";
import { narOf, type Tree } from "./trees.ts";

export type Storage = "opfs" | "indexeddb";
/** WebKitGTK has no OPFS. */
export const STORAGES: readonly Storage[] = (await hasOpfs()) ? ["opfs", "indexeddb"] : ["indexeddb"];

export const engine = new InlineHashEngine();

async function* pieces(parts: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) yield part.slice();
}

/** Writes a tree within a session. */
export async function putTree(services: LocalStoreServices, root: Tree | string | Uint8Array, name = "tree"): Promise<PathInfo> {
  return importNar(services, engine, pieces(narOf(root)), { name });
}

/** Imports a tree as a store path, in a session of its own. */
export async function importTree(store: PackedStore, root: Tree | string | Uint8Array, name = "tree"): Promise<PathInfo> {
  return writePacked(store, engine, { durability: "relaxed" }, (services) => putTree(services, root, name));
}

const opened: PackedStore[] = [];

/** Opens a store. A second one with the same name stands for another tab. */
export async function open(storage: Storage, name?: string): Promise<PackedStore> {
  const store = await openPacked(storage, name);
  opened.push(store);
  return store;
}

export async function closeAll(): Promise<void> {
  for (const store of opened.splice(0)) {
    store.close();
    await store.database.close();
  }
}

export function reader(store: PackedStore): LocalStoreServices {
  return packedReader(store, engine);
}

/** Reads a whole store path, and compares its NAR hash. */
export async function expectWhole(store: PackedStore, info: PathInfo): Promise<void> {
  const stored = await reader(store).pathInfos.get(info.storePath.slice("/nix/store/".length, "/nix/store/".length + 32));
  expect(stored).toEqual(info);
  const { narHash, narSize } = await calculateNar(reader(store), engine, info.node);
  expect({ narHash, narSize }).toEqual({ narHash: info.narHash, narSize: info.narSize });
}

export async function verified(store: PackedStore): ReturnType<typeof verifyStore> {
  return store.locks.collecting(undefined, () => store.holding(() => verifyStore(store, engine, {})));
}

/**
 * Expects no corrupt and no missing objects. Expects also that every object of the index, dead or
 * alive, has its references in the index.
 */
export async function expectClean(...stores: readonly PackedStore[]): Promise<void> {
  for (const store of stores) {
    const { report, roots } = await verified(store);
    expect(report).toMatchObject({ corrupt: [], missing: [], storePaths: [] });
    expect(roots).toEqual([]);
    expect(await lacking(store)).toEqual([]);
  }
}

/**
 * Lists the references of indexed objects that are not in the index. A session that finds one of
 * these objects would rely on its references.
 */
export async function lacking(store: PackedStore): Promise<string[]> {
  const found: string[] = [];
  const isBlob = (digest: Digest): boolean => hasObject(store, BLOB, digest) || hasObject(store, CHUNK, digest);
  for (const { digest, named } of objects(store, DIRECTORY)) {
    const [bytes] = await store.read(DIRECTORY, [digest]);
    for (const { node } of decodeDirectory(bytes as Uint8Array).entries) {
      if (node.kind === "symlink" || node.size === 0n) continue;
      const isThere = node.kind === "directory" ? hasObject(store, DIRECTORY, node.digest) : isBlob(node.digest);
      if (!isThere) found.push(`${node.kind} ${formatDigest(node.digest)} of directory ${named.name}`);
    }
  }
  for (const { digest, named } of objects(store, BLOB)) {
    const [bytes] = await store.read(BLOB, [digest]);
    for (const chunk of decodeBlob(bytes as Uint8Array, digest).chunks)
      if (!hasObject(store, CHUNK, chunk.digest)) found.push(`chunk ${formatDigest(chunk.digest)} of blob ${named.name}`);
  }
  return found;
}

export function collect(store: PackedStore, options: Parameters<typeof collectGarbage>[1] = {}): ReturnType<typeof collectGarbage> {
  return collectGarbage(store, options);
}

export async function forget(store: PackedStore, ...infos: readonly PathInfo[]): Promise<void> {
  for (const { storePath } of infos) {
    expect(await reader(store).pathInfos.delete(storePath.slice("/nix/store/".length, "/nix/store/".length + 32))).toBe(true);
  }
}

/** Ids of all existing packs, whether the index has them or not. */
export async function packIds(store: PackedStore): Promise<string[]> {
  return [...(await store.packs.indexeddb.list()), ...((await store.packs.opfs?.list()) ?? [])].sort();
}

export async function recordKeys(store: PackedStore): Promise<string[]> {
  return store.database.read("packs", (packs) => packs.getAllKeys());
}

/** Makes a promise, and a function that resolves it. */
export function gate(): { readonly passed: Promise<void>; readonly pass: () => void } {
  let pass = (): void => {};
  const passed = new Promise<void>((resolve) => {
    pass = resolve;
  });
  return { passed, pass };
}

/** Delays the next transaction of `store` that writes to `name`, until `go` is called. */
export function holdWrite(store: PackedStore, name: StoreName): { readonly reached: Promise<void>; readonly go: () => void } {
  const { database } = store;
  const [reached, going] = [gate(), gate()];
  const write = database.write.bind(database);
  database.write = async (names, durability, work) => {
    if (!names.includes(name)) return write(names, durability, work);
    database.write = write;
    reached.pass();
    await going.passed;
    return write(names, durability, work);
  };
  return { reached: reached.passed, go: going.pass };
}

/** Starts a session that does `work`, and waits until `end` is called before it does the rest. */
export async function session<T>(
  store: PackedStore,
  work: (services: LocalStoreServices) => Promise<T>,
  then: (services: LocalStoreServices, value: T) => Promise<unknown> = async () => {},
): Promise<{ readonly value: T; readonly end: () => Promise<void> }> {
  const { passed, pass } = gate();
  return new Promise((resolve, reject) => {
    const running = writePacked(store, engine, { durability: "relaxed" }, async (services) => {
      const value = await work(services);
      const end = async (): Promise<void> => {
        pass();
        await running;
      };
      resolve({ value, end });
      await passed;
      await then(services, value);
    });
    running.catch(reject);
  });
}

/** Imports a whole tree except for its PathInfo, which `end` puts. */
export async function unfinishedImport(
  store: PackedStore,
  root: Tree | string | Uint8Array,
  name = "tree",
): Promise<{ readonly value: PathInfo; readonly end: () => Promise<void> }> {
  const put = async (services: LocalStoreServices): Promise<PathInfo> => {
    let kept: PathInfo | undefined;
    const pathInfos = {
      get: async () => undefined,
      list: () => services.pathInfos.list(),
      delete: async () => false,
      put: async (info: PathInfo) => {
        kept = info;
        return info;
      },
    };
    await putTree({ ...services, pathInfos }, root, name);
    if (!kept) throw new Error("no PathInfo was put");
    return kept;
  };
  return session(store, put, (services, info) => services.pathInfos.put(info));
}

export interface Place {
  readonly kind: ObjectKind;
  readonly pack: string;
  readonly storage: Storage;
  readonly offset: number;
  readonly length: number;
  /** Key of the index record. */
  readonly key: string;
  readonly digest: Digest;
  /** Kind and name as in a report. */
  readonly named: { kind: "chunk" | "directory" | "blob"; name: string };
}

export function place(store: PackedStore, kind: ObjectKind, digest: Digest): Place {
  const entry = store.table.find(digest, kind);
  if (entry === NONE) throw new Error(`there is no such object: ${formatDigest(digest)}`);
  const { record, offset, length } = store.table.location(entry);
  const named = { kind: kind === DIRECTORY ? "directory" : kind === BLOB ? "blob" : "chunk", name: formatDigest(digest) } as const;
  return { kind, pack: record.pack, storage: record.storage, offset, length, key: record.key, digest, named };
}

/** All objects of a kind in this store. */
export function objects(store: PackedStore, kind: ObjectKind): Place[] {
  const found: Place[] = [];
  for (let entry = 0; entry < store.table.count; entry++) {
    const { record, kind: its } = store.table.location(entry);
    if (record.alive && its === kind) found.push(place(store, kind, store.table.digest(entry).slice() as Digest));
  }
  return found;
}

export function hasObject(store: PackedStore, kind: ObjectKind, digest: Digest): boolean {
  return store.table.find(digest, kind) !== NONE;
}

/** @param name of the store; the file system must accept it unchanged */
async function packFile(name: string, id: string): Promise<FileSystemFileHandle> {
  const root = await navigator.storage.getDirectory();
  const all = await root.getDirectoryHandle("tvix-store-web", { create: true });
  return (await all.getDirectoryHandle(name, { create: true })).getFileHandle(`${id}.pack`, { create: true });
}

/** Writes a pack in OPFS without the knowledge of a store. */
export async function writePack(name: string, id: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
  const writable = await (await packFile(name, id)).createWritable();
  await writable.write(bytes);
  await writable.close();
}

/**
 * Changes the bytes of a pack without the store's knowledge.
 * @param name of the store; the file system must accept it unchanged
 */
export async function changePack(
  store: PackedStore,
  name: string,
  id: string,
  change: (bytes: Uint8Array<ArrayBuffer>) => Uint8Array<ArrayBuffer>,
): Promise<void> {
  if (store.storage === "opfs") {
    store.packs.opfs?.close();
    const file = await packFile(name, id);
    return writePack(name, id, change(new Uint8Array(await (await file.getFile()).arrayBuffer())));
  }
  const SEGMENT = 1024 * 1024;
  const range = IDBKeyRange.bound([id, 0], [id, Number.MAX_SAFE_INTEGER]);
  await store.database.write(["segments"], "relaxed", async (transaction) => {
    const segments = transaction.objectStore("segments");
    const parts = await segments.getAll(range);
    const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of parts) {
      whole.set(part, at);
      at += part.length;
    }
    const changed = change(whole);
    await segments.delete(range);
    for (let i = 0; i * SEGMENT < changed.length; i++) await segments.put(changed.slice(i * SEGMENT, (i + 1) * SEGMENT), [id, i]);
  });
  store.packs.indexeddb.close();
}

/** Flips one bit in the middle of an object. */
export async function flip(store: PackedStore, name: string, { pack, offset, length }: Place): Promise<void> {
  await changePack(store, name, pack, (bytes) => {
    const at = offset + (length >> 1);
    bytes[at] = (bytes[at] as number) ^ 1;
    return bytes;
  });
}

export { failure } from "./failure.ts";
export { BLOB, CHUNK, DIRECTORY, equalBytes };
