/**
 * The additional worker. It runs the peers of the library, and the parts of an import by
 * themselves.
 */

import { unixfs } from "@helia/unixfs";
import { IDBBlockstore } from "blockstore-idb";
import { ReadBuffers, readByteStream } from "../../../src/byte-stream.ts";
import { HashPool } from "../../../src/hash/pool.ts";
import { spawnHashWorker } from "../../../src/worker/spawn-hash-worker.ts";
import type { Peers } from "./page-api.ts";
import { filePath, smallFile, smallFiles } from "./small-files.ts";

declare const self: DedicatedWorkerGlobalScope;

const MIB = 1024 * 1024;
/** Maximum number of buffers that are sent to a hash worker at once. */
const IN_FLIGHT = 4;
const WRITE = 4 * MIB;
const BLOBS = "blobs";

let pool: HashPool | undefined;
function hashPool(): HashPool {
  pool ??= new HashPool(1, () => spawnHashWorker("/hash-worker.js"));
  return pool;
}

const peers: Peers = {
  async helia(count) {
    const set = smallFiles(count);
    const contents = Array.from({ length: count }, (_, i) => ({ path: filePath(i, set), content: smallFile(i) }));
    const blockstore = new IDBBlockstore("helia");
    await blockstore.open();
    const from = performance.now();
    let last: unknown;
    for await (const entry of unixfs({ blockstore }).addAll(contents, { wrapWithDirectory: true })) last = entry.cid;
    const ms = performance.now() - from;
    if (last === undefined) throw new Error("Helia imported nothing");
    blockstore.close();
    await blockstore.destroy();
    return ms;
  },

  async indexeddb(count) {
    const contents = Array.from({ length: count }, (_, i) => smallFile(i));
    const db = await openDatabase("puts");
    const from = performance.now();
    for (const [i, content] of contents.entries()) await put(db, i, content);
    const ms = performance.now() - from;
    db.close();
    await deleteDatabase("puts");
    return ms;
  },

  async prepareIndexeddb(count) {
    const db = await openDatabase("reads");
    const from = performance.now();
    for (let i = 0; i < count; i++) await put(db, i, smallFile(i));
    db.close();
    return performance.now() - from;
  },

  async readIndexeddb(indexes) {
    const db = await openDatabase("reads");
    const from = performance.now();
    for (const index of indexes) {
      const request = db.transaction(BLOBS).objectStore(BLOBS).get(index);
      await new Promise<void>((resolve, reject) => {
        request.onsuccess = () => resolve();
        request.onerror = () => reject(request.error);
      });
      if (!(request.result instanceof Uint8Array)) throw new Error(`IndexedDB has no record ${index}`);
    }
    const ms = performance.now() - from;
    db.close();
    return ms;
  },

  async read(file) {
    const from = performance.now();
    const buffers = new ReadBuffers();
    for await (const { buffer } of readByteStream(file.stream(), buffers) ?? []) buffers.give(buffer);
    return performance.now() - from;
  },

  async sha256Source(source) {
    const buffers = new ReadBuffers();
    const from = performance.now();
    const response = typeof source === "string" ? await fetch(source) : undefined;
    const size = source instanceof File ? source.size : Number(response?.headers.get("content-length"));
    const hash = await hashPool().stream("sha256", { size });
    const stream = source instanceof File ? source.stream() : response?.body;
    const pieces = stream && readByteStream(stream, buffers);
    if (!pieces) throw new Error("the source has no byte stream");
    const pending: Promise<void>[] = [];
    for await (const { buffer, length } of pieces) {
      if (pending.length >= IN_FLIGHT) await pending.shift();
      pending.push(hash.give(buffer, length).then((returned) => buffers.give(returned)));
    }
    await Promise.all(pending);
    await hash.digest();
    return performance.now() - from;
  },

  async sha256(bytes) {
    const buffers = content(8);
    const stream = await hashPool().stream("sha256");
    const from = performance.now();
    await flow(bytes, buffers, (buffer) => stream.give(buffer, buffer.byteLength));
    await stream.digest();
    return performance.now() - from;
  },

  async cutAndHash(bytes) {
    const buffers = content(8);
    const cutter = await hashPool().cutter();
    const from = performance.now();
    await flow(bytes, buffers, async (buffer) => (await cutter.push(buffer, buffer.byteLength)).buffer);
    await cutter.end();
    return performance.now() - from;
  },

  async opfsWrite(bytes) {
    const pieces = content(WRITE / MIB).map((buffer) => new Uint8Array(buffer));
    const piece = new Uint8Array(WRITE);
    for (const [i, part] of pieces.entries()) piece.set(part, i * MIB);
    const root = await navigator.storage.getDirectory();
    const file = await root.getFileHandle("bench-write", { create: true });
    const access = await file.createSyncAccessHandle();
    const from = performance.now();
    for (let at = 0; at < bytes; at += WRITE) {
      // Real data differs from piece to piece, so change the piece.
      new DataView(piece.buffer).setFloat64(0, at);
      if (access.write(piece, { at }) !== WRITE) throw new Error("the disk accepted too few bytes");
    }
    access.flush();
    const ms = performance.now() - from;
    access.close();
    await root.removeEntry("bench-write");
    return ms;
  },
};

/** Creates buffers of 1 MiB of random bytes, without repetitions. */
function content(count: number): ArrayBuffer[] {
  return Array.from({ length: count }, () => {
    const bytes = new Uint8Array(MIB);
    for (let at = 0; at < MIB; at += 65536) crypto.getRandomValues(bytes.subarray(at, at + 65536));
    return bytes.buffer;
  });
}

/**
 * Gives `bytes` bytes in buffers of 1 MiB, several at once, and reuses the buffers that come back.
 */
async function flow(bytes: number, buffers: ArrayBuffer[], give: (buffer: ArrayBuffer) => Promise<ArrayBuffer>): Promise<void> {
  const pending: Promise<void>[] = [];
  for (let given = 0; given < bytes; given += MIB) {
    if (pending.length >= IN_FLIGHT) await pending.shift();
    const buffer = buffers.shift();
    if (!buffer) throw new Error("all buffers are in use");
    pending.push(
      give(buffer).then((returned) => {
        buffers.push(returned);
      }),
    );
  }
  await Promise.all(pending);
}

function put(db: IDBDatabase, key: number, value: Uint8Array): Promise<void> {
  const transaction = db.transaction(BLOBS, "readwrite", { durability: "relaxed" });
  transaction.objectStore(BLOBS).put(value, key);
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error);
  });
}

function openDatabase(name: string): Promise<IDBDatabase> {
  const request = indexedDB.open(name);
  request.onupgradeneeded = () => request.result.createObjectStore(BLOBS);
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function deleteDatabase(name: string): Promise<void> {
  const request = indexedDB.deleteDatabase(name);
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve();
    request.onerror = () => reject(request.error);
  });
}

type Request = { [K in keyof Peers]: { id: number; method: K; args: Parameters<Peers[K]> } }[keyof Peers];

self.onmessage = async ({ data: { id, method, args } }: MessageEvent<Request>) => {
  try {
    const call = peers[method] as (...args: readonly unknown[]) => Promise<number>;
    self.postMessage({ id, ms: await call(...args) });
  } catch (error) {
    self.postMessage({ id, error: error instanceof Error ? `${error.message}\n${error.stack}` : String(error) });
  }
};
