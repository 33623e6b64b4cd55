import type { StorageUsage } from "../thread/maintenance-api.ts";
import { BLOB, DIRECTORY } from "./object-table.ts";
import type { PackedStore } from "./packed-store.ts";
import { pathInfoRecords } from "./path-info-records.ts";

/** Measures the storage that the store uses, and asks the browser for the figures of its origin. */
export async function storageUsage(store: PackedStore): Promise<StorageUsage> {
  await store.refresh();
  const [{ storePaths, logical }, estimate, persisted] = await Promise.all([
    narSizes(store),
    navigator.storage?.estimate?.().catch(() => undefined),
    navigator.storage?.persisted?.().catch(() => undefined),
  ]);
  const objects = { chunks: { count: 0, bytes: 0 }, directories: { count: 0, bytes: 0 }, blobs: { count: 0, bytes: 0 } };
  const { table } = store;
  for (let entry = 0; entry < table.count; entry++) {
    const { record, kind, length } = table.location(entry);
    // Two concurrent imports may have written the same object.
    if (!record.alive || table.find(table.digest(entry), kind) !== entry) continue;
    const counted = kind === DIRECTORY ? objects.directories : kind === BLOB ? objects.blobs : objects.chunks;
    counted.count++;
    counted.bytes += length;
  }
  const packs = new Map<string, number>();
  for (const { pack, size } of store.records) packs.set(pack, size);
  return {
    storage: store.storage,
    storePaths,
    logical,
    stored: objects.chunks.bytes + objects.directories.bytes + objects.blobs.bytes,
    objects,
    packs: { count: packs.size, bytes: [...packs.values()].reduce((sum, size) => sum + size, 0) },
    originUsage: estimate?.usage,
    quota: estimate?.quota,
    persisted,
  };
}

async function narSizes(store: PackedStore): Promise<{ storePaths: number; logical: number }> {
  let storePaths = 0;
  let logical = 0;
  for await (const { info } of pathInfoRecords(store.database)) {
    storePaths++;
    // `verify` reports damaged path infos.
    if (Number.isSafeInteger(info?.narSize) && info.narSize > 0) logical += info.narSize;
  }
  return { storePaths, logical };
}
