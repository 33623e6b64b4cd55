/** A `PackedStore` in memory, for tests that need no browser. */

import { afterEach, vi } from "vitest";
import { utf8 } from "../../src/bytes.ts";
import type { ChunkMeta } from "../../src/castore/blob-service.ts";
import { asDigest, type Digest, digestOf } from "../../src/castore/digest.ts";
import { type Directory, makeDirectory } from "../../src/castore/directory.ts";
import { directoryNode, encodeDirectory } from "../../src/castore/directory-codec.ts";
import type { DirectoryNode, FileNode, Node } from "../../src/castore/node.ts";
import { InlineHashEngine } from "../../src/hash/inline-engine.ts";
import type { PathInfo } from "../../src/store/path-info.ts";
import { encodeBlob } from "../../src/worker/blob-object.ts";
import type { PackRecord } from "../../src/worker/database.ts";
import { changeRecords } from "../../src/worker/index-records.ts";
import { BLOB, CHUNK, DIRECTORY, NONE, type ObjectKind } from "../../src/worker/object-table.ts";
import type { NewObject } from "../../src/worker/object-view.ts";
import { EntryWriter } from "../../src/worker/pack-entries.ts";
import { encodeHeader, encodeTrailer, HEADER_LENGTH, packedPathInfo } from "../../src/worker/pack-format.ts";
import type { IndexRecord } from "../../src/worker/packed-index.ts";
import { writePacked } from "../../src/worker/packed-services.ts";
import { PackedStore } from "../../src/worker/packed-store.ts";
import { StoreLocks } from "../../src/worker/store-locks.ts";
import { MemoryDatabase, MemoryKeyRange } from "./memory-database.ts";
import { MemoryLocks } from "./memory-locks.ts";
import { MemoryPacks } from "./memory-packs.ts";

export const engine = new InlineHashEngine();

export interface MemoryStore {
  readonly store: PackedStore;
  readonly database: MemoryDatabase;
  readonly opfs: MemoryPacks;
  readonly indexeddb: MemoryPacks;
  readonly locks: MemoryLocks;
}

/** The parts of a store that a second one shares with it, as another tab does. */
export type Shared = Partial<Pick<MemoryStore, "database" | "opfs" | "indexeddb" | "locks">>;

afterEach(() => void vi.unstubAllGlobals());

/**
 * Makes a store. Replaces `navigator` and `IDBKeyRange` until the test ends.
 *
 * @param storage storage for new packs
 */
export function memoryStore(storage: PackRecord["storage"] = "opfs", shared: Shared & { hasLegacy?: boolean } = {}): MemoryStore {
  const database = shared.database ?? new MemoryDatabase(shared.hasLegacy);
  const opfs = shared.opfs ?? new MemoryPacks();
  const indexeddb = shared.indexeddb ?? new MemoryPacks();
  const locks = shared.locks ?? new MemoryLocks();
  vi.stubGlobal("navigator", { locks });
  vi.stubGlobal("IDBKeyRange", MemoryKeyRange);
  const store = new PackedStore(database.asDatabase, new StoreLocks("memory"), { indexeddb, opfs }, storage);
  return { store, database, opfs, indexeddb, locks };
}

/** How `putPack` writes a pack. */
export interface PutOptions {
  readonly id?: string;
  readonly storage?: PackRecord["storage"];
  readonly pathInfos?: readonly PathInfo[];
  /** Id of the store that wrote the pack; by default this one. */
  readonly by?: string;
  readonly created?: number;
}

/** Bytes of a pack, and its index record. */
export async function makePack(
  { store }: MemoryStore,
  content: readonly NewObject[],
  { id = crypto.randomUUID(), storage = "opfs", pathInfos = [], by, created = 1 }: PutOptions = {},
): Promise<{ id: string; bytes: Uint8Array; record: PackRecord }> {
  const header = encodeHeader({ store: by ?? (await store.id()), created });
  const entries = new EntryWriter(content.length);
  let size = HEADER_LENGTH;
  for (const { kind, digest, bytes } of content) {
    entries.add({ kind, digest, offset: size, length: bytes.length });
    size += bytes.length;
  }
  const trailer = encodeTrailer(header, size, entries.bytes, pathInfos.map(packedPathInfo));
  const bytes = new Uint8Array(size + trailer.length);
  for (let at = 0, parts = [header, ...content.map(({ bytes }) => bytes), trailer], i = 0; i < parts.length; i++) {
    bytes.set(parts[i] as Uint8Array, at);
    at += (parts[i] as Uint8Array).length;
  }
  return { id, bytes, record: { pack: id, storage, size: bytes.length, trailer: trailer.length, entries: entries.bytes } };
}

/** Writes a pack and its index record, as a session does, and loads the record. */
export async function putPack(world: MemoryStore, content: readonly NewObject[], options: PutOptions = {}): Promise<IndexRecord> {
  const { store, database } = world;
  const { id, bytes, record } = await makePack(world, content, options);
  world[record.storage].files.set(id, bytes);
  const key = crypto.randomUUID();
  await database.asDatabase.write(["packs", "meta"], "relaxed", (transaction) => changeRecords(transaction, [[key, record]], []));
  await store.refresh();
  const loaded = store.record(key);
  if (!loaded) throw new Error("the record was not loaded");
  return loaded;
}

/** Removes an index record, as a collection does. */
export async function dropRecord({ store, database }: MemoryStore, { key }: IndexRecord): Promise<void> {
  await database.asDatabase.write(["packs", "meta"], "relaxed", (transaction) => changeRecords(transaction, [], [key]));
  await store.refresh();
}

/** Writes to the store in a session of its own. */
export function write<T>({ store }: MemoryStore, work: Parameters<typeof writePacked<T>>[3]): Promise<T> {
  return writePacked(store, engine, { durability: "strict" }, work);
}

/** Flips a bit of an object in its pack. */
export function damage({ store, opfs, indexeddb }: MemoryStore, kind: ObjectKind, digest: Digest): void {
  const { record, offset } = store.table.location(store.table.find(digest, kind));
  const file = (record.storage === "opfs" ? opfs : indexeddb).files.get(record.pack);
  if (!file) throw new Error("the pack is missing");
  file[offset] = (file[offset] as number) ^ 1;
}

/** A chunk that is a whole file, and the file's node. */
export function text(content: string): NewObject & { readonly node: FileNode } {
  const bytes = utf8(content);
  const digest = digestOf(bytes);
  return { kind: CHUNK, digest, bytes, node: { kind: "file", digest, size: BigInt(bytes.length), executable: false } };
}

/** A chunk list. The digest of the blob is that of the joined chunks. */
export function longBlob(...chunks: readonly NewObject[]): NewObject & { readonly node: FileNode } {
  const whole = new Uint8Array(chunks.reduce((sum, { bytes }) => sum + bytes.length, 0));
  const metas: ChunkMeta[] = [];
  let at = 0;
  for (const { digest, bytes } of chunks) {
    whole.set(bytes, at);
    at += bytes.length;
    metas.push({ digest: asDigest(digest), size: bytes.length });
  }
  const digest = digestOf(whole);
  return {
    kind: BLOB,
    digest,
    bytes: encodeBlob({ chunks: metas }),
    node: { kind: "file", digest, size: BigInt(whole.length), executable: false },
  };
}

/** An encoded directory, and its node. */
export function directory(entries: Readonly<Record<string, Node>>): NewObject & { readonly node: DirectoryNode } {
  const made: Directory = makeDirectory(Object.entries(entries).map(([name, node]) => ({ name: utf8(name), node })));
  const node = directoryNode(made, "documented");
  return { kind: DIRECTORY, digest: node.digest, bytes: encodeDirectory(made), node };
}

export const symlink: Node = { kind: "symlink", target: utf8("elsewhere") };

/** Makes a PathInfo. @param letter the hash part consists of this letter */
export function pathInfo(letter: string, node: Node, change: Partial<PathInfo> = {}): PathInfo {
  return {
    storePath: `/nix/store/${hashPart(letter)}-path`,
    node,
    narHash: `sha256-${"A".repeat(43)}=`,
    narSize: 1000,
    references: [],
    signatures: [],
    ...change,
  };
}

export function hashPart(letter: string): string {
  return letter.repeat(32);
}

/** Stores path infos without a session. */
export async function putPathInfos({ database }: MemoryStore, ...infos: readonly PathInfo[]): Promise<void> {
  for (const info of infos) await database.put("pathInfos", info.storePath.slice(11, 43), info);
}

export function has({ store }: MemoryStore, { kind, digest }: NewObject): boolean {
  return store.table.find(digest, kind) !== NONE;
}

export function entryOf({ store }: MemoryStore, { kind, digest }: NewObject): number {
  return store.table.find(digest, kind);
}

/** Resolves when all promises are settled that need only memory. */
export function allSettled(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}

export { failure } from "./failure.ts";
export { BLOB, CHUNK, DIRECTORY, NONE };
