import { mkdir, statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { type Database, open, type RootDatabase } from "lmdb";
import { equalBytes } from "../bytes.ts";
import type { Digest } from "../castore/digest.ts";
import type { DirectoryStore } from "../castore/directory-store.ts";
import { StoreError, undefinedIfCorrupt } from "../error.ts";
import { parseHashPart } from "../nix/store-path.ts";
import { acquiring } from "../resource-stack.ts";
import type { PathInfo } from "../store/path-info.ts";
import { checkPathInfo } from "../store/path-info-check.ts";
import { mergePathInfo } from "../store/path-info-merge.ts";
import type { LocalPathInfoService } from "../store/path-info-service.ts";
import { decodePathInfo, encodePathInfo } from "../wire/stored-messages.ts";
import { writeError } from "./file-error.ts";
import { checkLmdbHeader } from "./lmdb-header.ts";

/** LMDB database with binary keys and binary values. */
export type Bytes = Database<Buffer, Buffer>;

/** One LMDB file with all databases of an embedded store. */
export class LmdbEnvironment {
  readonly path: string;
  readonly directories: LmdbDirectoryStore;
  readonly pathInfos: LmdbPathInfoService;
  readonly #root: RootDatabase;

  private constructor(path: string, root: RootDatabase) {
    this.path = path;
    this.#root = root;
    this.directories = new LmdbDirectoryStore(this);
    this.pathInfos = new LmdbPathInfoService(this);
    // LMDB creates a promise for each of its own transactions, and nothing handles it. If a commit
    // failed, for example on a full disk, Node would end the process. The callers of `put` have
    // promises of their own.
    root.on("beforecommit", () => {
      queueMicrotask(() => root.committed.then(undefined, () => {}));
    });
  }

  /**
   * Opens the file, and creates it if it is missing.
   *
   * @param path path of the file
   * @throws StoreError `denied` or `unavailable` if it can't be opened; `corrupt` if it is not a
   *   database of this program
   */
  static async open(path: string): Promise<LmdbEnvironment> {
    try {
      await mkdir(dirname(path), { recursive: true });
      await checkLmdbHeader(path);
      return await acquiring(async (acquired) => {
        const root = acquired.adopt(open({ path, noSubdir: true, maxDbs: 8 }), (opened) => opened.close());
        return new LmdbEnvironment(path, root);
      });
    } catch (error) {
      throw writeError(error, `can't open ${path}`);
    }
  }

  /** Opens a database with binary keys and binary values. */
  database(name: string): Bytes {
    return this.#root.openDB<Buffer, Buffer>({ name, encoding: "binary", keyEncoding: "binary" });
  }

  /** Opens a database of texts under names. Each `put` is durable when it resolves. */
  records(name: string): LmdbRecords {
    return new LmdbRecords(this, name);
  }

  /**
   * Resolves when everything that was put before survives a crash.
   *
   * @throws StoreError `quota` if the disk is full, otherwise `unavailable`
   */
  async flush(): Promise<void> {
    await this.written("can't write the database", async () => {
      await this.#root.committed;
      await this.#root.flushed;
    });
  }

  /**
   * Calls `write` and converts its errors to `StoreError`.
   *
   * @param what failed operation, for the message
   * @throws StoreError `quota` if the disk is full, otherwise `unavailable`
   */
  async written<T>(what: string, write: () => Promise<T>): Promise<T> {
    try {
      return await write();
    } catch (error) {
      const cause = await causeOf(error);
      const reason = cause instanceof Error ? cause.message : String(cause);
      const isFull = FULL.test(reason) || (await this.#isDiskFull());
      throw new StoreError(isFull ? "quota" : "unavailable", `${what}: ${reason}`, { cause });
    }
  }

  /** Whether the disk is full. LMDB reports EIO for a write that reaches the end of the disk. */
  async #isDiskFull(): Promise<boolean> {
    const disk = await statfs(dirname(this.path)).catch(() => undefined);
    return disk !== undefined && disk.bavail * disk.bsize < NEARLY_FULL;
  }

  /** Flushes, and closes the file. The file is closed even if the flush fails. */
  async close(): Promise<void> {
    try {
      await this.flush();
    } finally {
      await this.#root.close();
    }
  }
}

/** Stores directories in their canonical encoding under their digests. */
export class LmdbDirectoryStore implements DirectoryStore {
  readonly #environment: LmdbEnvironment;
  readonly #database: Bytes;

  constructor(environment: LmdbEnvironment) {
    this.#environment = environment;
    this.#database = environment.database("directories");
  }

  async getMany(digests: readonly Digest[]): Promise<(Uint8Array | undefined)[]> {
    return digests.map((digest) => asBytes(this.#database.getBinary(asBuffer(digest))));
  }

  async putMany(directories: readonly { digest: Digest; bytes: Uint8Array }[]): Promise<void> {
    await this.#environment.written("can't store directories", () =>
      inOneTurn(directories, ({ digest, bytes }) => this.#database.put(asBuffer(digest), asBuffer(bytes))),
    );
  }
}

/**
 * Number of path infos that `list` reads at a time. No LMDB reader stays open while the caller
 * works.
 */
const LIST_BATCH = 256;

/**
 * Stores path infos as tvix's message. The key is the hash part as text, so the database's order is
 * the order of `list`.
 */
export class LmdbPathInfoService implements LocalPathInfoService {
  readonly #environment: LmdbEnvironment;
  readonly #database: Bytes;

  constructor(environment: LmdbEnvironment) {
    this.#environment = environment;
    this.#database = environment.database("path-infos");
  }

  async get(hashPart: string): Promise<PathInfo | undefined> {
    const bytes = this.#read(hashPart);
    return bytes && this.#decode(hashPart, bytes);
  }

  async put(info: PathInfo): Promise<PathInfo> {
    checkPathInfo(info);
    const hashPart = parseHashPart(info.storePath);
    for (;;) {
      const earlier = this.#read(hashPart);
      // A damaged record can't be merged, so the new one replaces it.
      const merged = mergePathInfo(info, earlier && (await undefinedIfCorrupt(this.#decode(hashPart, earlier))));
      if (!(await this.#replace(hashPart, earlier, encodePathInfo(merged)))) continue;
      await this.#environment.flush();
      return merged;
    }
  }

  /**
   * Writes `bytes` if the record is still `earlier`, in one transaction. Resolves to whether it
   * wrote them.
   */
  #replace(hashPart: string, earlier: Uint8Array | undefined, bytes: Uint8Array): Promise<boolean> {
    return this.#environment.written(`can't store the path info of ${hashPart}`, () =>
      this.#database.transaction(() => {
        const now = this.#read(hashPart);
        if (now && earlier ? !equalBytes(now, earlier) : now !== earlier) return false;
        this.#database.putSync(Buffer.from(hashPart), asBuffer(bytes));
        return true;
      }),
    );
  }

  /** Reads a copy of the record: LMDB reuses its own buffer for the next read. */
  #read(hashPart: string): Uint8Array | undefined {
    return asBytes(this.#database.getBinary(Buffer.from(hashPart)))?.slice();
  }

  async *list(options?: { signal?: AbortSignal | undefined }): AsyncGenerator<PathInfo> {
    let last: Buffer | undefined;
    for (;;) {
      options?.signal?.throwIfAborted();
      const batch = [...this.#database.getRange({ start: last, exclusiveStart: last !== undefined, limit: LIST_BATCH })];
      for (const { key, value } of batch) yield await this.#decode(key.toString("latin1"), asBytes(value));
      if (batch.length < LIST_BATCH) return;
      last = batch.at(-1)?.key;
    }
  }

  async delete(hashPart: string): Promise<boolean> {
    const key = Buffer.from(hashPart);
    const there = await this.#environment.written(`can't delete the path info of ${hashPart}`, () =>
      this.#database.transaction(() => {
        const found = this.#database.doesExist(key);
        if (found) this.#database.removeSync(key);
        return found;
      }),
    );
    if (there) await this.#environment.flush();
    return there;
  }

  async #decode(hashPart: string, bytes: Uint8Array): Promise<PathInfo> {
    const info = await decodePathInfo(hashPart, bytes);
    if (parseHashPart(info.storePath) !== hashPart) {
      throw new StoreError("corrupt", `the stored path info of ${hashPart} names another path: ${info.storePath}`);
    }
    return info;
  }
}

/** Stores texts under names. */
export class LmdbRecords {
  readonly #environment: LmdbEnvironment;
  readonly #database: Bytes;

  constructor(environment: LmdbEnvironment, name: string) {
    this.#environment = environment;
    this.#database = environment.database(name);
  }

  async get(key: string): Promise<string | undefined> {
    return this.#database.getBinary(Buffer.from(key))?.toString();
  }

  async put(records: ReadonlyMap<string, string>): Promise<void> {
    await this.#environment.written("can't store records", () =>
      inOneTurn(records, ([key, text]) => this.#database.put(Buffer.from(key), Buffer.from(text))),
    );
    await this.#environment.flush();
  }
}

/**
 * Writes all items in one transaction: LMDB commits together everything that is put in one turn of
 * the event loop, by any caller. Resolves when the items can be read. They are on disk when `flush`
 * resolves.
 */
export async function inOneTurn<T>(items: Iterable<T>, write: (item: T) => Promise<unknown>): Promise<void> {
  const all: Promise<unknown>[] = [];
  for (const item of items) all.push(write(item));
  await Promise.all(all);
}

/** Matches the messages of LMDB and of the system for a full disk. These errors have no codes. */
const FULL = /no space left|MDB_MAP_FULL|disk quota/i;
/**
 * Free space below which a disk counts as full, in bytes. A transaction needs some more pages of 4
 * KiB than the data that is put.
 */
const NEARLY_FULL = 4 * 1024 * 1024;

/**
 * Returns the real cause of a failed commit. LMDB rejects each write with an error whose
 * `commitError` is a promise of that cause.
 */
async function causeOf(error: unknown): Promise<unknown> {
  if (!(error instanceof Error && "commitError" in error)) return error;
  try {
    await error.commitError;
    return error;
  } catch (cause) {
    return cause;
  }
}

/** Returns a `Buffer` on the same memory, without a copy. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/**
 * Returns a `Uint8Array` on the same memory. Callers get no `Buffer`, because the `slice` of a
 * `Buffer` doesn't copy.
 */
export function asBytes(buffer: Buffer): Uint8Array;
export function asBytes(buffer: Buffer | undefined): Uint8Array | undefined;
export function asBytes(buffer: Buffer | undefined): Uint8Array | undefined {
  return buffer && new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
}
