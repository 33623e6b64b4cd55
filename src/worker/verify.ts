import { ChunkedBlobService } from "../castore/chunked-blobs.ts";
import { type Digest, formatDigest } from "../castore/digest.ts";
import { decodeDirectory } from "../castore/directory-codec.ts";
import type { Node } from "../castore/node.ts";
import type { HashEngine } from "../hash/engine.ts";
import type { OperationOptions } from "../progress.ts";
import { checkPathInfo } from "../store/path-info-check.ts";
import type { DamagedObject, VerifyReport } from "../thread/maintenance-api.ts";
import { decodeBlob } from "./blob-object.ts";
import { EntrySet } from "./entry-set.ts";
import { describeObject, entryBatches, isWholeBlob, matchDigests, readIntact } from "./object-check.ts";
import { BLOB, CHUNK, DIRECTORY, NONE, type ObjectKind } from "./object-table.ts";
import { ReadOnlyObjects } from "./object-view.ts";
import { PackedChunkStore } from "./packed-services.ts";
import type { PackedStore } from "./packed-store.ts";
import { pathInfoRecords } from "./path-info-records.ts";

export interface Verified {
  readonly report: VerifyReport;
  /** Damaged objects, and the chunk lists that refer to damaged chunks. */
  readonly damaged: EntrySet;
  /** Store paths and pins whose content is not complete. */
  readonly roots: readonly DamagedRoot[];
}

/** A store path or a pin; a pin has no `storePath`. */
export interface DamagedRoot {
  readonly storePath?: string | undefined;
  readonly node: Node;
}

/**
 * Compares every object with its digest. Then checks that everything that store paths and pins
 * refer to exists. Packs must not be rewritten meanwhile. Progress: `verifying`, in bytes.
 */
export async function verifyStore(store: PackedStore, engine: HashEngine, options: OperationOptions): Promise<Verified> {
  return new Verification(store, engine, options).run();
}

class Verification {
  readonly #store: PackedStore;
  readonly #engine: HashEngine;
  readonly #options: OperationOptions;
  readonly #blobs: ChunkedBlobService;
  readonly #damaged = new EntrySet();
  readonly #corrupt: DamagedObject[] = [];
  readonly #missing = new Map<string, DamagedObject>();
  #objects = 0;
  #loaded = 0;
  #total = 0;

  constructor(store: PackedStore, engine: HashEngine, options: OperationOptions) {
    this.#store = store;
    this.#engine = engine;
    this.#options = options;
    this.#blobs = new ChunkedBlobService(new PackedChunkStore(new ReadOnlyObjects(store)), engine);
  }

  async run(): Promise<Verified> {
    await this.#store.refresh();
    for (const { bytes } of this.#store.records) this.#total += bytes;
    await this.#scan();
    const { storePaths, roots } = await this.#walkRoots();
    const report = {
      objects: this.#objects,
      bytes: this.#loaded,
      corrupt: this.#corrupt,
      missing: [...this.#missing.values()],
      storePaths,
      refetched: 0,
    };
    return { report, damaged: this.#damaged, roots };
  }

  /**
   * Checks all objects. Chunks and directories, whose digests are those of their own bytes, come
   * first. Blobs of several chunks need the chunks.
   */
  async #scan(): Promise<void> {
    const { table } = this.#store;
    const count = table.count;
    const blobs: number[] = [];
    const others = function* (): Generator<number> {
      for (let entry = 0; entry < count; entry++) {
        const { record, kind } = table.location(entry);
        if (!record.alive) continue;
        if (kind === BLOB) blobs.push(entry);
        else yield entry;
      }
    };
    for (const batch of entryBatches(this.#store, others())) {
      this.#options.signal?.throwIfAborted();
      const isGood = await matchDigests(this.#store, this.#engine, batch);
      for (const [i, entry] of batch.entries()) this.#count(entry, isGood[i] as boolean);
    }
    for (const entry of blobs) {
      this.#options.signal?.throwIfAborted();
      this.#count(entry, await isWholeBlob(this.#blobs, table.digest(entry), this.#options.signal));
    }
  }

  #count(entry: number, isGood: boolean): void {
    const { kind, length } = this.#store.table.location(entry);
    this.#objects++;
    this.#loaded += length;
    this.#options.onProgress?.({ phase: "verifying", unit: "bytes", loaded: this.#loaded, total: this.#total });
    if (isGood) return;
    this.#damaged.add(entry);
    this.#corrupt.push(describeObject(kind, this.#store.table.digest(entry)));
  }

  async #walkRoots(): Promise<{ storePaths: string[]; roots: DamagedRoot[] }> {
    const { database } = this.#store;
    const storePaths: string[] = [];
    const roots: DamagedRoot[] = [];
    // Objects that were found complete below one path need no second check below another.
    const whole = new EntrySet();
    for await (const { hashPart, info } of pathInfoRecords(database, this.#options.signal)) {
      try {
        checkPathInfo(info);
      } catch {
        this.#corrupt.push({ kind: "path-info", name: hashPart });
        storePaths.push(hashPart);
        continue;
      }
      if (await this.#isWhole(info.node, whole)) continue;
      storePaths.push(info.storePath);
      roots.push(info);
    }
    for (const { node } of await database.read("pins", (pins) => pins.getAll())) {
      if (!(await this.#isWhole(node, whole))) roots.push({ node });
    }
    return { storePaths, roots };
  }

  /**
   * Whether everything below `root` exists and is undamaged.
   *
   * @param whole directories and blobs that are known to be complete; grows if `root` is complete
   */
  async #isWhole(root: Node, whole: EntrySet): Promise<boolean> {
    const visited = new EntrySet();
    const stack: Node[] = [root];
    let isWhole = true;
    for (let node = stack.pop(); node; node = stack.pop()) {
      if (node.kind === "symlink") continue;
      if (node.kind === "file") {
        if (node.size > 0n) isWhole = (await this.#hasBlob(node.digest, whole, visited)) && isWhole;
        continue;
      }
      const entry = await this.#find(DIRECTORY, node.digest);
      if (entry === NONE && node.size === 0n) continue;
      if (entry === NONE || this.#damaged.has(entry)) {
        isWhole = this.#miss(DIRECTORY, node.digest, entry);
        continue;
      }
      if (whole.has(entry) || visited.has(entry)) continue;
      visited.add(entry);
      this.#options.signal?.throwIfAborted();
      const [bytes] = await this.#store.readLocations([this.#store.table.location(entry)]);
      for (const child of decodeDirectory(bytes as Uint8Array).entries) stack.push(child.node);
    }
    if (isWhole) for (const entry of visited) whole.add(entry);
    return isWhole;
  }

  async #hasBlob(digest: Digest, whole: EntrySet, visited: EntrySet): Promise<boolean> {
    const { table } = this.#store;
    let blob = table.find(digest, BLOB);
    if (blob === NONE) {
      const chunk = await this.#find(CHUNK, digest);
      blob = table.find(digest, BLOB);
      if (blob === NONE) return (chunk !== NONE && !this.#damaged.has(chunk)) || this.#miss(CHUNK, digest, chunk);
    }
    if (whole.has(blob) || visited.has(blob)) return true;
    visited.add(blob);
    if (!this.#damaged.has(blob)) return true;
    // If the chunk list can be read, note its missing chunks.
    const [bytes] = await readIntact(this.#store, [table.location(blob)]);
    try {
      for (const { digest: part } of bytes ? decodeBlob(bytes, digest).chunks : []) {
        const entry = table.find(part, CHUNK);
        if (entry === NONE) this.#miss(CHUNK, part, entry);
      }
    } catch {
      // The report lists the blob as corrupt already.
    }
    return false;
  }

  /**
   * Finds an object. If it is missing, first refreshes the index: another tab may have committed it
   * since the index was read.
   */
  async #find(kind: ObjectKind, digest: Digest): Promise<number> {
    const entry = this.#store.table.find(digest, kind);
    if (entry !== NONE || !(await this.#store.refresh())) return entry;
    return this.#store.table.find(digest, kind);
  }

  /** Notes a missing object. Damaged objects were noted before. */
  #miss(kind: ObjectKind, digest: Digest, entry: number): false {
    if (entry === NONE) this.#missing.set(`${kind}${formatDigest(digest)}`, describeObject(kind, digest));
    return false;
  }
}
