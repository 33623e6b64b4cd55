import { equalBytes } from "../bytes.ts";
import type { ChunkedBlobService } from "../castore/chunked-blobs.ts";
import { type Digest, formatDigest } from "../castore/digest.ts";
import { isStoreError } from "../error.ts";
import type { HashEngine } from "../hash/engine.ts";
import { iterate } from "../stream.ts";
import type { DamagedObject } from "../thread/maintenance-api.ts";
import { BLOB, DIRECTORY, type ObjectKind, type ObjectLocation } from "./object-table.ts";
import type { IndexRecord } from "./packed-index.ts";
import type { PackedStore } from "./packed-store.ts";

/** Limits of a batch of objects that are read and hashed together: bytes, and number of objects. */
const BATCH_BYTES = 4 * 1024 * 1024;
const BATCH_COUNT = 4096;

/** Groups entries into batches that can be read and hashed together. */
export function* entryBatches(store: PackedStore, entries: Iterable<number>): Generator<number[]> {
  let batch: number[] = [];
  let bytes = 0;
  for (const entry of entries) {
    batch.push(entry);
    bytes += store.table.location(entry).length;
    if (bytes < BATCH_BYTES && batch.length < BATCH_COUNT) continue;
    yield batch;
    batch = [];
    bytes = 0;
  }
  if (batch.length > 0) yield batch;
}

/** Tells for each chunk or directory whether it can be read and matches its digest. */
export async function matchDigests(store: PackedStore, engine: HashEngine, entries: readonly number[]): Promise<boolean[]> {
  const { table } = store;
  const found = await readIntact(
    store,
    entries.map((entry) => table.location(entry)),
  );
  const hashes = await engine.blake3Many(found.filter((bytes) => bytes !== undefined));
  let next = 0;
  return entries.map((entry, i) => found[i] !== undefined && equalBytes(hashes[next++] as Uint8Array, table.digest(entry)));
}

/** Whether all content of a blob exists and matches its digest. */
export async function isWholeBlob(blobs: ChunkedBlobService, digest: Digest, signal: AbortSignal | undefined): Promise<boolean> {
  try {
    const content = await blobs.open(digest, { signal });
    if (!content) return false;
    for await (const _ of iterate(content, signal));
    return true;
  } catch (error) {
    if (!isStoreError(error, "corrupt") && !isStoreError(error, "invalid")) throw error;
    return false;
  }
}

/**
 * Reads objects. If that fails, reads them one by one to find the unreadable ones, which are
 * `undefined`.
 */
export async function readIntact(
  store: PackedStore,
  locations: readonly ObjectLocation<IndexRecord>[],
): Promise<(Uint8Array | undefined)[]> {
  try {
    return await store.readLocations(locations);
  } catch (error) {
    if (!isStoreError(error, "corrupt") && !isStoreError(error, "unavailable")) throw error;
    if (locations.length === 1) return [undefined];
  }
  const found: (Uint8Array | undefined)[] = [];
  for (const location of locations) found.push(...(await readIntact(store, [location])));
  return found;
}

/** Names an object in a report. */
export function describeObject(kind: ObjectKind, digest: Digest): DamagedObject {
  return { kind: kind === DIRECTORY ? "directory" : kind === BLOB ? "blob" : "chunk", name: formatDigest(digest) };
}
