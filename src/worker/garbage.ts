import { asDigest, type Digest, digestKey, formatDigest } from "../castore/digest.ts";
import { childDirectories } from "../castore/directory.ts";
import type { Node } from "../castore/node.ts";
import { StoreError } from "../error.ts";
import type { OperationOptions } from "../progress.ts";
import type { LocalStoreServices } from "../store/services.ts";
import type { GarbageReport } from "../thread/store-api.ts";
import type { StoreDatabase } from "./indexeddb.ts";

/** Keys that are looked at in one transaction. */
const BATCH = 1000;

/**
 * Deletes what no store path refers to: marks from the path infos, then sweeps. Nothing may write meanwhile. It can be broken off at
 * any moment: blobs are forgotten before their chunks, so that what is there stays whole.
 */
export async function collectGarbage(
  database: StoreDatabase,
  store: LocalStoreServices,
  options: OperationOptions,
): Promise<GarbageReport> {
  const live = await mark(store, options);
  let objects = 0;
  let bytes = 0;
  for (const name of ["blobs", "directories", "chunks"] as const) {
    for (let after: Uint8Array<ArrayBuffer> | undefined; ; ) {
      options.signal?.throwIfAborted();
      const range = after && IDBKeyRange.lowerBound(after, true);
      const keys = await database.read(name, (records) => records.getAllKeys(range, BATCH));
      const dead = keys.map((key) => asDigest(toBytes(key))).filter((digest) => !live.has(digestKey(digest)));
      if (dead.length > 0) {
        bytes += await database.write([name], "relaxed", async (transaction) => {
          const records = transaction.objectStore(name);
          const values = await Promise.all(dead.map((digest) => records.get(digest)));
          await Promise.all(dead.map((digest) => records.delete(digest)));
          return values.reduce((sum, value) => sum + (value instanceof Uint8Array && name !== "blobs" ? value.length : 0), 0);
        });
        objects += dead.length;
        options.onProgress?.({ phase: "deleting", loaded: objects });
      }
      const last = keys.at(-1);
      if (!last || keys.length < BATCH) break;
      after = toBytes(last);
    }
  }
  return { objects, bytes };
}

/** A binary key comes back as an ArrayBuffer, whatever view it was given as. */
function toBytes(key: Uint8Array<ArrayBuffer> | ArrayBuffer): Uint8Array<ArrayBuffer> {
  return key instanceof Uint8Array ? key : new Uint8Array(key);
}

/** The keys of all blobs, chunks and directories that some store path refers to. */
async function mark(store: LocalStoreServices, options: OperationOptions): Promise<Set<string>> {
  const live = new Set<string>();
  let paths = 0;
  for await (const info of store.pathInfos.list(options)) {
    await markNode(store, info.node, live, options.signal);
    options.onProgress?.({ phase: "marking", loaded: ++paths });
  }
  return live;
}

async function markNode(store: LocalStoreServices, root: Node, live: Set<string>, signal: AbortSignal | undefined): Promise<void> {
  const blobs: Digest[] = [];
  const directories: Digest[] = [];
  const visit = (node: Node): void => {
    if (node.kind === "symlink") return;
    const key = digestKey(node.digest);
    if (live.has(key)) return;
    live.add(key);
    if (node.kind === "file") blobs.push(node.digest);
    else directories.push(node.digest);
  };
  visit(root);
  for (let digest = directories.pop(); digest; digest = directories.pop()) {
    signal?.throwIfAborted();
    const directory = await store.directories.get(digest);
    // A store that isn't whole must not lose what is left of it.
    if (!directory) throw new StoreError("corrupt", `directory ${formatDigest(digest)} is missing; nothing was deleted`);
    for (const child of childDirectories(directory)) visit(child);
    for (const { node } of directory.entries) visit(node);
  }
  for (let i = 0; i < blobs.length; i += BATCH) {
    for (const stat of await store.blobs.stat(blobs.slice(i, i + BATCH))) {
      for (const chunk of stat?.chunks ?? []) live.add(digestKey(chunk.digest));
    }
  }
}
