import { type Digest, formatDigest } from "../castore/digest.ts";
import { isStoreError, StoreError } from "../error.ts";
import type { PathInfo } from "../store/path-info.ts";
import type { PackRecord } from "./database.ts";
import { MAX_OBJECT_LENGTH, type ObjectKind, type ObjectLocation } from "./object-table.ts";
import { EntryWriter } from "./pack-entries.ts";
import { encodeHeader, encodeTrailer, HEADER_LENGTH, MAX_PATH_INFO, MAX_PATH_INFOS, packedPathInfo } from "./pack-format.ts";
import type { PackWriter } from "./pack-store.ts";
import type { IndexRecord } from "./packed-index.ts";
import type { PackedStore } from "./packed-store.ts";
import { quotaError } from "./storage-error.ts";

/**
 * Limits of a pack: bytes of its objects, and number of objects. The session ends a pack before it
 * exceeds one of them.
 */
const MAX_PACK = 32 * 1024 * 1024;
const MAX_PACK_OBJECTS = 256 * 1024;
/** Number of ended packs that are written out at a time. */
const MAX_FINISHING = 4;
/**
 * Bytes that are written to a pack at a time. They fit into a core's cache, because the operating
 * system copies them.
 */
const BUFFER = 256 * 1024;
/** Runs of at least this many bytes are written directly, without a copy in the buffer. */
const DIRECT = 64 * 1024;

/** The pack that is being written. */
interface OpenPack {
  readonly record: IndexRecord;
  readonly writer: PackWriter;
  readonly header: Uint8Array;
  readonly pathInfos: Uint8Array[];
}

/** Writes the packs of one session. The owner makes one call after the other. */
export class SessionPacks {
  readonly #store: PackedStore;
  readonly #owner: object;
  readonly #durability: "strict" | "relaxed";
  readonly #onFailure: (error: unknown) => void;
  /** Packs that are ended but not committed yet. */
  #ended: IndexRecord[] = [];
  /** Packs that are ended but not written out yet. */
  readonly #finishing = new Map<IndexRecord, Promise<void>>();
  #open: OpenPack | undefined;
  readonly #buffer = new Uint8Array(BUFFER);
  #buffered = 0;
  /**
   * The last objects of the open pack, if they still are where the caller gave them, one after the
   * other. They are written together: Chromium sends several messages for each write to a file.
   */
  #run: Uint8Array | undefined;
  /** First entry that may belong to the packs of the next commit. */
  #firstEntry: number;
  /** First entry that may belong to the open pack. */
  #openEntry: number;

  /**
   * @param owner the session; it is the `writer` of the records
   * @param onFailure called if a pack can't be written out
   */
  constructor(store: PackedStore, owner: object, durability: "strict" | "relaxed", onFailure: (error: unknown) => void) {
    this.#store = store;
    this.#owner = owner;
    this.#durability = durability;
    this.#onFailure = onFailure;
    this.#firstEntry = store.table.count;
    this.#openEntry = store.table.count;
  }

  /** Record of the pack that is being written. */
  get open(): IndexRecord | undefined {
    return this.#open?.record;
  }

  get ended(): readonly IndexRecord[] {
    return this.#ended;
  }

  /**
   * Appends an object. `bytes` must not change before `settle`. Returns no promise if nothing has
   * to be written first, because a promise costs as much as a short object.
   */
  append(kind: ObjectKind, digest: Digest, bytes: Uint8Array): Promise<void> | undefined {
    const record = this.#open?.record;
    if (!record || !hasRoom(record, bytes)) return this.#appendToNext(kind, digest, bytes);
    const settled = this.#run && isFollowedBy(this.#run, bytes) ? undefined : this.settle();
    if (settled) return settled.then(() => this.#enter(record, kind, digest, bytes));
    this.#enter(record, kind, digest, bytes);
    return undefined;
  }

  /**
   * Takes the bytes of all objects so far: the caller may then change them. Returns no promise if
   * they fit into the buffer.
   */
  settle(): Promise<void> | undefined {
    const run = this.#run;
    this.#run = undefined;
    if (!run) return undefined;
    if (run.length >= DIRECT || this.#buffered + run.length > BUFFER) return this.#writeRun(run);
    this.#fill(run);
    return undefined;
  }

  /** Writes everything so far to the open pack. */
  async flush(): Promise<void> {
    await this.settle();
    if (this.#buffered === 0) return;
    await this.#put(this.#buffer.subarray(0, this.#buffered));
    this.#buffered = 0;
  }

  /** Reads an object of the open pack. All of the pack must have been flushed. */
  async readOpen(location: ObjectLocation<IndexRecord>): Promise<Uint8Array | undefined> {
    return this.#open?.writer.read(location);
  }

  /**
   * Adds path infos to the trailers of the session's packs, so that a store whose database is lost
   * can find its store paths again. Packs in IndexedDB get none: they are lost with the database.
   */
  async notePathInfos(infos: Iterable<PathInfo> | AsyncIterable<PathInfo>): Promise<void> {
    if (this.#store.storage !== "opfs") return;
    for await (const info of infos) {
      const bytes = packedPathInfo(info);
      if (bytes.length > MAX_PATH_INFO) continue;
      const noted = this.#open?.pathInfos.reduce((sum, { length }) => sum + length, 0) ?? 0;
      if (noted > 0 && noted + bytes.length > MAX_PATH_INFOS) await this.end("beside");
      this.#open ??= await this.#start();
      this.#open.pathInfos.push(bytes);
    }
  }

  /**
   * Ends the open pack, if there is one, with its trailer. With `beside`, resolves before the pack
   * is written out.
   */
  async end(sync: "now" | "beside"): Promise<void> {
    if (!this.#open) return;
    const { record, writer, header, pathInfos } = this.#open;
    const { entries, next } = this.#entries(record, this.#openEntry);
    const trailer = encodeTrailer(header, record.size, entries, pathInfos);
    await this.settle();
    if (this.#buffered + trailer.length > BUFFER) await this.flush();
    if (trailer.length > BUFFER) await this.#put(trailer);
    else this.#fill(trailer);
    await this.flush();
    this.#openEntry = next;
    record.size += trailer.length;
    record.trailer = trailer.length;
    // Wait for the disk, so that it doesn't fall further and further behind.
    while (this.#finishing.size >= MAX_FINISHING) await Promise.race(this.#finishing.values());
    this.#ended.push(record);
    this.#open = undefined;
    const finishing = writer.finish(this.#durability === "strict" ? sync : "never").finally(() => this.#finishing.delete(record));
    this.#finishing.set(record, finishing);
    finishing.catch(this.#onFailure);
    if (sync === "now") await finishing;
  }

  /** Resolves when all ended packs are written out. */
  async finished(): Promise<void> {
    await Promise.all(this.#finishing.values());
  }

  /**
   * Returns promises for packs among `locations` that are not written out yet. A flush needs
   * exclusive access to the file.
   */
  underWay(locations: readonly (ObjectLocation<IndexRecord> | undefined)[]): Promise<void>[] {
    if (this.#finishing.size === 0) return [];
    return [...new Set(locations.flatMap((location) => (location && this.#finishing.get(location.record)) ?? []))];
  }

  /**
   * Yields the keys and index records of the ended packs. Yields one at a time, because a million
   * entries take 40 MB. Packs are written one after the other, so entries lie in the order of the
   * packs.
   */
  *records(): Generator<[key: string, record: PackRecord]> {
    let first = this.#firstEntry;
    for (const record of this.#ended) {
      const { key, pack, storage, size, trailer } = record;
      const { entries, next } = this.#entries(record, first);
      first = next;
      yield [key, { pack, storage, size, trailer, entries }];
    }
  }

  /** Makes the ended packs visible after their commit. */
  adopt(): void {
    for (const record of this.#ended) this.#store.adopt(record);
    this.#ended = [];
    this.#firstEntry = this.#store.table.count;
    this.#openEntry = this.#store.table.count;
  }

  /**
   * Deletes all packs that were not committed.
   *
   * @param keeps whether the ended packs stay, because the outcome of their commit is unknown
   */
  async discard(keeps: boolean): Promise<void> {
    const [open, ended] = [this.#open, this.#ended];
    this.#open = undefined;
    await Promise.allSettled(this.#finishing.values());
    this.#ended = [];
    if (open) open.record.writer = undefined;
    for (const record of ended) record.writer = undefined;
    if (keeps) return;
    await open?.writer.abort();
    for (const record of ended) await this.#store.packStore(record).delete(record.pack);
  }

  /**
   * Encodes the entries of a pack. Entries that others committed meanwhile may lie between them.
   */
  #entries(record: IndexRecord, first: number): { entries: Uint8Array; next: number } {
    const { table } = this.#store;
    const entries = new EntryWriter(record.count);
    let next = first;
    for (let found = 0; found < record.count; next++) {
      const location = table.location(next);
      if (location.record !== record) continue;
      entries.add({ digest: table.digest(next), ...location });
      found++;
    }
    return { entries: entries.bytes, next };
  }

  /** Appends an object that does not fit into the open pack to the next one. */
  async #appendToNext(kind: ObjectKind, digest: Digest, bytes: Uint8Array): Promise<void> {
    if (bytes.length > MAX_OBJECT_LENGTH) throw new StoreError("invalid", `object ${formatDigest(digest)} is too large to store`);
    await this.end("beside");
    this.#open = await this.#start();
    this.#enter(this.#open.record, kind, digest, bytes);
  }

  async #writeRun(run: Uint8Array): Promise<void> {
    await this.flush();
    if (run.length < DIRECT) this.#fill(run);
    else await this.#put(run);
  }

  /** Starts a pack. Its header waits in the buffer for the first objects. */
  async #start(): Promise<OpenPack> {
    const { storage } = this.#store;
    const pack = crypto.randomUUID();
    const record: IndexRecord = {
      alive: false,
      writer: this.#owner,
      key: crypto.randomUUID(),
      pack,
      storage,
      size: HEADER_LENGTH,
      trailer: 0,
      count: 0,
      bytes: 0,
    };
    const header = encodeHeader({ store: await this.#store.id(), created: Date.now() });
    const writer = await this.#store.packStore(record).create(pack);
    this.#fill(header);
    return { record, writer, header, pathInfos: [] };
  }

  /** Enters an object into the open pack, and adds its bytes to the run. */
  #enter(record: IndexRecord, kind: ObjectKind, digest: Digest, bytes: Uint8Array): void {
    const { length } = bytes;
    this.#run = this.#run ? new Uint8Array(this.#run.buffer, this.#run.byteOffset, this.#run.length + length) : bytes;
    this.#store.table.add(digest, kind, record, record.size, length);
    record.size += length;
    record.bytes += length;
    record.count++;
  }

  #fill(bytes: Uint8Array): void {
    this.#buffer.set(bytes, this.#buffered);
    this.#buffered += bytes.length;
  }

  async #put(bytes: Uint8Array): Promise<void> {
    try {
      await this.#open?.writer.append(bytes);
    } catch (error) {
      throw isStoreError(error, "quota") ? await quotaError(bytes.length, error) : error;
    }
  }
}

/** Whether `bytes` begin where `run` ends, in the same buffer. */
function isFollowedBy(run: Uint8Array, bytes: Uint8Array): boolean {
  return run.buffer === bytes.buffer && run.byteOffset + run.length === bytes.byteOffset;
}

function hasRoom({ bytes, count }: IndexRecord, { length }: Uint8Array): boolean {
  return bytes + length <= MAX_PACK && count < MAX_PACK_OBJECTS;
}
