/**
 * The page. It executes the controller's commands, only with the public functions of the package,
 * and reports each promise that resolves. It declares the package's types itself instead of
 * importing them, so that it can test any version.
 */

import type { Observed, ObservedPath, Space } from "./checker.ts";
import type { Action } from "./operation.ts";
import type { Command, Message, Opened, Step } from "./page-protocol.ts";

interface PathInfo {
  readonly storePath: string;
  readonly narHash: string;
  readonly narSize: number;
}

interface Store {
  importNar(archive: unknown, options: { name: string }): Promise<PathInfo>;
  importTar(archive: unknown, options: { name: string }): Promise<PathInfo>;
  pull(remote: unknown, storePaths: string[]): Promise<unknown>;
  pathInfos(): AsyncIterable<PathInfo>;
  pathInfo(storePath: string): Promise<PathInfo | undefined>;
  nar(storePath: string): ReadableStream<Uint8Array>;
  delete(storePath: string): Promise<unknown>;
  collectGarbage(): Promise<unknown>;
  close(): Promise<void>;
  // Some versions don't have these functions.
  verify?(): Promise<{ corrupt: readonly unknown[]; missing: readonly unknown[] }>;
  usage?(): Promise<{ storage?: string }>;
}

interface Package {
  openStore(name: string, options: { storage: string; workers: number }): Promise<Store>;
  connectRemote(url: string): unknown;
}

/** Globals of a page. This file is checked with Node's types, which don't include them. */
interface PageGlobals {
  readonly location: { readonly search: string; readonly href: string };
  open(url: string, target: string, features: string): unknown;
  readonly navigator: { readonly storage: { estimate(): Promise<{ usage?: number }>; getDirectory(): Promise<DirectoryHandle> } };
  readonly indexedDB: { databases(): Promise<{ name?: string }[]>; open(name: string): Request<Database> };
}
interface DirectoryHandle {
  readonly kind: "directory";
  values(): AsyncIterable<DirectoryHandle | { readonly kind: "file"; getFile(): Promise<{ readonly size: number }> }>;
}
interface Request<T> {
  readonly result: T;
  readonly error: unknown;
  onsuccess: (() => void) | null;
  onerror: (() => void) | null;
}
interface Cursor {
  readonly key: unknown;
  readonly value: unknown;
  continue(): void;
}
interface Database {
  readonly objectStoreNames: Iterable<string> & { readonly length: number };
  transaction(names: readonly string[]): { objectStore(name: string): { openCursor(): Request<Cursor | null> } };
  close(): void;
}

const page = globalThis as unknown as PageGlobals;
const session = page.location.search;
let store: Store | undefined;
let library: Package | undefined;
let storeOptions: { name: string; storage: string } | undefined;

async function post(message: Message): Promise<void> {
  await fetch(`/report${session}`, { method: "POST", body: JSON.stringify(message) });
}

async function opened(): Promise<Store> {
  if (!storeOptions) throw new Error("no store is open");
  const { name, storage } = storeOptions;
  library ??= (await import(/* @vite-ignore */ new URL("/dist/index.js", page.location.href).href)) as Package;
  store ??= await library.openStore(name, { storage, workers: 1 });
  return store;
}

async function execute(command: Command): Promise<unknown> {
  switch (command.kind) {
    case "open": {
      storeOptions = command;
      const it = await opened();
      // `openStore` may open the database lazily, so read something.
      for await (const _ of it.pathInfos()) break;
      const has = { verify: typeof it.verify === "function", usage: typeof it.usage === "function" };
      const answer: Opened = { ...has, storage: (await it.usage?.())?.storage };
      return answer;
    }
    case "tab":
      page.open(command.url, "_blank", "noopener");
      return null;
    case "check":
      return check(await opened(), command.ask);
    case "run":
      await Promise.all(command.lanes.map(runLane));
      return null;
    case "collect":
      await (await opened()).collectGarbage();
      return null;
    case "empty": {
      const it = await opened();
      const paths: string[] = [];
      for await (const { storePath } of it.pathInfos()) paths.push(storePath);
      for (const path of paths) await it.delete(path);
      await it.collectGarbage();
      return null;
    }
    case "space": {
      await store?.close();
      store = undefined;
      return measure();
    }
  }
}

async function check(it: Store, ask: readonly string[]): Promise<Observed> {
  const infos: PathInfo[] = [];
  for await (const info of it.pathInfos()) infos.push(info);
  const paths: ObservedPath[] = [];
  for (const { storePath, narHash, narSize } of infos) {
    try {
      const nar = await new Response(it.nar(storePath)).arrayBuffer();
      paths.push({ storePath, narHash, narSize, rendered: sri(await crypto.subtle.digest("SHA-256", nar)) });
    } catch (error) {
      paths.push({ storePath, narHash, narSize, error: text(error) });
    }
  }
  const found: string[] = [];
  for (const storePath of new Set([...ask, ...paths.map((path) => path.storePath)]))
    if (await it.pathInfo(storePath)) found.push(storePath);
  const verified = await it.verify?.();
  const verify = verified && { corrupt: verified.corrupt.map(named), missing: verified.missing.map(named) };
  return { paths, found, verify };
}

async function runLane(steps: readonly Step[]): Promise<void> {
  for (const { id, action } of steps) {
    await post({ kind: "started", id });
    try {
      await act(await opened(), action);
    } catch (error) {
      await post({ kind: "failed", id, reason: text(error) });
      continue;
    }
    await post({ kind: "acknowledged", id });
  }
}

async function act(it: Store, action: Action): Promise<void> {
  switch (action.kind) {
    case "import": {
      const response = await fetch(action.url);
      if (!response.ok || !response.body) throw new Error(`${action.url}: status ${response.status}`);
      const { name } = action;
      const info = await (action.format === "nar" ? it.importNar(response.body, { name }) : it.importTar(response.body, { name }));
      if (info.storePath !== action.storePath) throw new Error(`imported as ${info.storePath}, not ${action.storePath}`);
      break;
    }
    case "pull":
      if (!library) throw new Error("the package is not loaded");
      await it.pull(library.connectRemote(action.remote), [action.storePath]);
      break;
    case "delete":
      await it.delete(action.storePath);
      break;
    case "collect":
      await it.collectGarbage();
      break;
  }
}

async function measure(): Promise<Space> {
  const { usage = 0 } = await page.navigator.storage.estimate();
  const files = await opfs(await page.navigator.storage.getDirectory());
  let databaseRecords = 0;
  let databaseBytes = 0;
  for (const { name } of await page.indexedDB.databases()) {
    if (name === undefined) continue;
    const database = await settled(page.indexedDB.open(name));
    for (const storeName of database.objectStoreNames) {
      const request = database.transaction([storeName]).objectStore(storeName).openCursor();
      await new Promise<void>((resolve, reject) => {
        request.onerror = () => reject(request.error);
        request.onsuccess = () => {
          const cursor = request.result;
          if (!cursor) return resolve();
          databaseRecords++;
          databaseBytes += sizeOf(cursor.key) + sizeOf(cursor.value);
          cursor.continue();
        };
      });
    }
    database.close();
  }
  return { opfsFiles: files.count, opfsBytes: files.bytes, databaseRecords, databaseBytes, estimate: usage };
}

async function opfs(directory: DirectoryHandle): Promise<{ count: number; bytes: number }> {
  let count = 0;
  let bytes = 0;
  for await (const entry of directory.values()) {
    if (entry.kind === "directory") {
      const under = await opfs(entry);
      count += under.count;
      bytes += under.bytes;
    } else {
      count++;
      bytes += await sizeOfFile(entry);
    }
  }
  return { count, bytes };
}

/**
 * Reads the size of a file. Firefox can't read it while a worker has an exclusive handle, and the
 * handle may exist a little longer than the worker. So this is retried for 5 seconds.
 */
async function sizeOfFile(file: { getFile(): Promise<{ size: number }> }): Promise<number> {
  for (let attempt = 0; ; attempt++) {
    try {
      return (await file.getFile()).size;
    } catch (error) {
      if (attempt === 50) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

/** Estimates the size of a record's value, in bytes. */
function sizeOf(value: unknown): number {
  if (typeof value === "string") return value.length;
  if (value instanceof ArrayBuffer || ArrayBuffer.isView(value)) return value.byteLength;
  if (value instanceof Blob) return value.size;
  if (value instanceof Map) return sizeOf([...value.keys(), ...value.values()]);
  if (Array.isArray(value)) return value.reduce((sum: number, one) => sum + sizeOf(one), 0);
  if (typeof value === "object" && value !== null) return sizeOf(Object.values(value));
  return 8;
}

function settled<T>(request: Request<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function sri(digest: ArrayBuffer): string {
  return `sha256-${btoa(String.fromCharCode(...new Uint8Array(digest)))}`;
}

function named(value: unknown): string {
  if (typeof value === "string") return value;
  const hex = (bytes: Uint8Array): string => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return JSON.stringify(value, (_, part: unknown) =>
    part instanceof Uint8Array ? hex(part) : typeof part === "bigint" ? String(part) : part,
  );
}

function text(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return `${"code" in error ? `${String(error.code)}: ` : ""}${error.message}`;
}

for (;;) {
  const response = await fetch(`/next${session}`);
  // The browser restored a page from before the kill. It must not touch the store.
  if (response.status === 410) break;
  if (response.status !== 200) continue;
  try {
    await post({ kind: "result", value: await execute((await response.json()) as Command) });
  } catch (error) {
    await post({ kind: "error", reason: text(error) });
  }
}
