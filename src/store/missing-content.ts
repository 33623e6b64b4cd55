import { equalBytes } from "../bytes.ts";
import { SMALL_BLOB_LIMIT } from "../castore/blob-service.ts";
import { digestKey, EMPTY_DIGEST } from "../castore/digest.ts";
import type { DirectoryNode, FileNode, Node } from "../castore/node.ts";
import type { CastoreServices } from "../castore/services.ts";
import { DirectoryReader } from "./directory-reader.ts";
import { missingBytes } from "./reused-chunks.ts";

/**
 * Estimated cost of one extra request, in bytes: one stream delivers that many bytes in the same
 * time.
 */
const OBJECT_COST = 16 * 1024;

/**
 * Estimated cost of a directory, in bytes. It arrives in one stream with the others of its closure.
 */
const DIRECTORY_COST = 64;

/** Blobs that the target is asked for at a time. */
const BATCH = 256;

export interface MissingContentOptions {
  signal?: AbortSignal | undefined;
  /** Cost at which counting stops, in bytes. */
  limit: number;
}

export interface MissingContent {
  /** Cost of the copy in bytes: the missing bytes, plus an amount for each object. */
  readonly cost: number;
  /** Keys of blobs that were found at the target. Incomplete if there are more than 131,072. */
  readonly present: Set<string>;
}

/** Keys that `present` holds at most. */
const MAX_PRESENT = 128 * 1024;

/**
 * Estimates the cost of copying `node` from one store to another.
 *
 * @throws StoreError `not-found` if a directory is missing at the source
 */
export async function missingContent(
  from: CastoreServices,
  to: CastoreServices,
  node: Node,
  { signal, limit }: MissingContentOptions,
): Promise<MissingContent> {
  const missing = new MissingBlobs(from, to, signal);
  if (node.kind === "file") await missing.add(node);
  if (node.kind === "directory") {
    const reader = new DirectoryReader(from.directories, node.digest, signal);
    const seen = new Set<string>();
    try {
      const stack: DirectoryNode[] = [node];
      for (let next = stack.pop(); next && missing.cost < limit; next = stack.pop()) {
        if (seen.has(digestKey(next.digest)) || (await to.directories.get(next.digest, { signal }))) continue;
        seen.add(digestKey(next.digest));
        missing.cost += DIRECTORY_COST;
        for (const entry of (await reader.read(next.digest)).entries) {
          if (entry.node.kind === "directory") stack.push(entry.node);
          else if (entry.node.kind === "file") await missing.add(entry.node);
          if (missing.cost >= limit) break;
        }
      }
    } finally {
      await reader.close();
    }
  }
  await missing.finish();
  return missing;
}

class MissingBlobs implements MissingContent {
  readonly #from: CastoreServices;
  readonly #to: CastoreServices;
  readonly #signal: AbortSignal | undefined;
  readonly #seen = new Set<string>();
  #batch: FileNode[] = [];
  cost = 0;
  readonly present = new Set<string>();

  constructor(from: CastoreServices, to: CastoreServices, signal: AbortSignal | undefined) {
    this.#from = from;
    this.#to = to;
    this.#signal = signal;
  }

  async add(file: FileNode): Promise<void> {
    const key = digestKey(file.digest);
    if (this.#seen.has(key) || equalBytes(file.digest, EMPTY_DIGEST)) return;
    this.#seen.add(key);
    this.#batch.push(file);
    if (this.#batch.length === BATCH) await this.finish();
  }

  /** Counts the blobs of the current batch. */
  async finish(): Promise<void> {
    const batch = this.#batch.splice(0);
    if (batch.length === 0) return;
    const stats = await this.#to.blobs.stat(
      batch.map(({ digest }) => digest),
      { signal: this.#signal },
    );
    for (const [i, file] of batch.entries()) {
      if (stats[i]) {
        if (this.present.size < MAX_PRESENT) this.present.add(digestKey(file.digest));
        continue;
      }
      const isLarge = file.size > SMALL_BLOB_LIMIT;
      const bytes = isLarge ? await missingBytes(this.#from.blobs, this.#to.blobs, file, this.#signal) : Number(file.size);
      this.cost += OBJECT_COST + bytes;
    }
  }
}
