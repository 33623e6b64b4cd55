/**
 * The script of the page. It uses the library as pages do, and starts an additional worker for the
 * comparisons.
 */

import { HashPool } from "../../../src/hash/pool.ts";
import { openStore, type Store } from "../../../src/index.ts";
import { spawnHashWorker } from "../../../src/worker/spawn-hash-worker.ts";
import type { ArchiveRequest, Imported, PageApi, Peers, Rendered } from "./page-api.ts";

let current: Store | undefined;

const api: PageApi = {
  async open(name, storage) {
    if (storage !== undefined && storage !== "opfs" && storage !== "indexeddb") throw new Error(`unknown storage ${storage}`);
    const from = performance.now();
    current = await openStore(name, { storage, workerUrl: "/store-worker.js", hashWorkerUrl: "/hash-worker.js" });
    // Wait until the first call is answered, so that no part of the opening is left out.
    await current.pathInfo("00000000000000000000000000000000");
    return performance.now() - from;
  },

  async close() {
    await current?.close();
    current = undefined;
  },

  async clear() {
    await ask("forget");
    for (const { name } of await indexedDB.databases()) {
      if (name === undefined) continue;
      await new Promise<void>((resolve, reject) => {
        const request = indexedDB.deleteDatabase(name);
        request.onsuccess = () => resolve();
        request.onerror = () => reject(request.error);
        request.onblocked = () => reject(new Error(`${name} is in use`));
      });
    }
    const root = await navigator.storage.getDirectory();
    const names: string[] = [];
    for await (const name of root.keys()) names.push(name);
    for (const name of names) await root.removeEntry(name, { recursive: true });
  },

  async importArchive(archive) {
    const { format, name } = archive;
    const from = performance.now();
    const source = await sourceOf(archive);
    const info = format === "tar" ? await store().importTar(source, { name }) : await store().importNar(source, { name });
    return imported(from, info);
  },

  async importFolder(name) {
    const files = input("folder");
    const from = performance.now();
    return imported(from, await store().importDirectory(files, { name }));
  },

  async ingest(offset, size) {
    const file = picked();
    const from = performance.now();
    await store().importBlob(file.slice(offset, offset + size), { pin: "bench" });
    return performance.now() - from;
  },

  readPicked: () => ask("read", picked()),

  sha256Archive: ({ url }) => ask("sha256Source", url ?? picked()),

  async renderNar(storePath) {
    const pool = hashPool();
    const from = performance.now();
    const hash = await pool.stream("sha256");
    const pending: Promise<unknown>[] = [];
    let bytes = 0;
    const reader = store().nar(storePath).getReader();
    for (let result = await reader.read(); !result.done; result = await reader.read()) {
      bytes += result.value.length;
      pending.push(hash.update(result.value));
      // Limit the pending updates to what keeps both sides busy.
      if (pending.length > 8) await pending.shift();
    }
    await Promise.all(pending);
    const digest = await hash.digest();
    const rendered: Rendered = { ms: performance.now() - from, bytes, hash: hex(digest) };
    return rendered;
  },

  async readFiles(storePath, paths) {
    const from = performance.now();
    for (const path of paths) {
      const file = await store().file(storePath, path);
      if (!file) throw new Error(`there is no ${path}`);
      const content = await file.arrayBuffer();
      if (content.byteLength !== file.size) throw new Error(`${path} is incomplete`);
    }
    return performance.now() - from;
  },

  peer: (method, ...args) => ask(method, ...args),
};

function store(): Store {
  if (!current) throw new Error("no store is open");
  return current;
}

function imported(from: number, { storePath, narHash }: { storePath: string; narHash: string }): Imported {
  return { ms: performance.now() - from, storePath, narHash };
}

async function sourceOf({ url }: ArchiveRequest): Promise<File | ReadableStream<Uint8Array>> {
  if (url === undefined) return picked();
  const { ok, body } = await fetch(url);
  if (!ok || !body) throw new Error(`can't fetch ${url}`);
  return body;
}

function picked(): File {
  const [file] = input("file");
  if (!file) throw new Error("no file is selected");
  return file;
}

function input(id: string): FileList {
  const element = document.getElementById(id);
  if (!(element instanceof HTMLInputElement) || !element.files) throw new Error(`the page has no input ${id}`);
  return element.files;
}

let pool: HashPool | undefined;
function hashPool(): HashPool {
  pool ??= new HashPool(1, () => spawnHashWorker("/hash-worker.js"));
  return pool;
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

let peers: Worker | undefined;
const waiting = new Map<number, { resolve: (ms: number) => void; reject: (error: Error) => void }>();
let asked = 0;

/**
 * Calls the additional worker. The worker starts on the first call, so that it takes no memory in
 * other measurements.
 */
function ask(method: keyof Peers | "forget", ...args: readonly unknown[]): Promise<number> {
  if (method === "forget") {
    peers?.terminate();
    peers = undefined;
    return Promise.resolve(0);
  }
  if (!peers) {
    peers = new Worker("/peers.js", { type: "module" });
    peers.onmessage = ({ data: { id, ms, error } }: MessageEvent<{ id: number; ms: number; error?: string }>) => {
      if (error === undefined) waiting.get(id)?.resolve(ms);
      else waiting.get(id)?.reject(new Error(error));
      waiting.delete(id);
    };
    peers.onerror = ({ message }) => {
      for (const { reject } of waiting.values()) reject(new Error(message || "can't load the script of the additional worker"));
      waiting.clear();
    };
  }
  const id = ++asked;
  peers.postMessage({ id, method, args });
  return new Promise((resolve, reject) => waiting.set(id, { resolve, reject }));
}

Object.assign(globalThis, { bench: api });
