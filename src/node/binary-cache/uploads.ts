import { EMPTY_BYTES, fromBase64, fromHex, toBase64, toHex } from "../../bytes.ts";
import { asDigest, type Digest } from "../../castore/digest.ts";
import { decodeNode, encodeNode } from "../../castore/directory-codec.ts";
import type { Node } from "../../castore/node.ts";
import { type Compression, parseCompression } from "../../compression/decompress.ts";
import { StoreError } from "../../error.ts";
import { RecentlyUsed } from "../../recently-used.ts";
import { OneAtATime } from "./one-at-a-time.ts";

/** Storage of texts under names. */
export interface UploadRecords {
  get(key: string): Promise<string | undefined>;
  /**
   * Writes several records at once. Resolves when they survive a crash, if the storage can promise
   * that. The content that was put before survives with them.
   */
  put(records: ReadonlyMap<string, string>): Promise<void>;
}

/** A file that a client has put, now stored as a blob. */
export interface UploadedBlob {
  readonly digest: Digest;
  /** Size of the blob, in bytes. */
  readonly size: number;
}

/** A NAR that a client has put under its own name, now stored as a node. */
export interface UploadedNar {
  readonly node: Node;
  /** SHA-256 of the uncompressed NAR, in SRI form. */
  readonly narHash: string;
  /** Size of the uncompressed NAR, in bytes. */
  readonly narSize: number;
  /**
   * Compression of the uploaded file. Downloads under the same name are compressed in the same
   * format.
   */
  readonly compression: Compression;
  /** The uploaded file itself, if the daemon can't write its format. */
  readonly file?: UploadedBlob | undefined;
}

/**
 * The data that clients put into a binary cache besides path infos.
 *
 * Nix puts a NAR before it tells the store path of the NAR. It also remembers for weeks the name
 * under which it has put a NAR, so the name must remain available.
 */
export class CacheUploads {
  readonly #records: UploadRecords;
  readonly #updates = new OneAtATime();

  constructor(records: UploadRecords) {
    this.#records = records;
  }

  /**
   * @param name last segment of the URL: `<hash of the file>.nar`, possibly with a suffix
   */
  async nar(name: string): Promise<UploadedNar | undefined> {
    return this.#nar(`nar/${name}`);
  }

  /** Returns an uploaded NAR with this hash (in SRI form). */
  async narByHash(narHash: string): Promise<UploadedNar | undefined> {
    return this.#nar(`nar-hash/${narHash}`);
  }

  /** Records an uploaded NAR. Its content must already be stored. */
  async putNar(name: string, nar: UploadedNar): Promise<void> {
    const { node, file, ...rest } = nar;
    const text = JSON.stringify({
      ...rest,
      node: toBase64(encodeNode(EMPTY_BYTES, node)),
      ...(file && { file: { digest: toHex(file.digest), size: file.size } }),
    });
    await this.#records.put(
      new Map([
        [`nar/${name}`, text],
        [`nar-hash/${nar.narHash}`, text],
      ]),
    );
  }

  /** Returns the log of the derivation with this base name. */
  async log(derivation: string): Promise<UploadedBlob | undefined> {
    return this.#record(`log/${derivation}`, readBlob);
  }

  async putLog(derivation: string, { digest, size }: UploadedBlob): Promise<void> {
    await this.#records.put(new Map([[`log/${derivation}`, JSON.stringify({ digest: toHex(digest), size })]]));
  }

  /** Returns the text that a client has put at this address. */
  async text(address: string): Promise<string | undefined> {
    return this.#records.get(`text/${address}`);
  }

  /**
   * Replaces the text by the result of `update`. Updates of one address run one after the other.
   */
  async updateText(address: string, update: (earlier: string | undefined) => string): Promise<void> {
    const key = `text/${address}`;
    await this.#updates.run(key, async () => {
      const earlier = await this.#records.get(key);
      const later = update(earlier);
      if (later !== earlier) await this.#records.put(new Map([[key, later]]));
    });
  }

  #nar(key: string): Promise<UploadedNar | undefined> {
    return this.#record(key, ({ node, narHash, narSize, compression, file }) => {
      if (typeof node !== "string" || typeof narHash !== "string" || typeof narSize !== "number" || typeof compression !== "string")
        throw new TypeError("a field is missing");
      return {
        node: decodeNode(fromBase64(node)).node,
        narHash,
        narSize,
        compression: parseCompression(compression),
        ...(isRecord(file) && { file: readBlob(file) }),
      };
    });
  }

  /**
   * @throws StoreError `corrupt` if the record is no JSON object, or `read` throws
   */
  async #record<T>(key: string, read: (record: Readonly<Record<string, unknown>>) => T): Promise<T | undefined> {
    const text = await this.#records.get(key);
    if (text === undefined) return undefined;
    try {
      const record: unknown = JSON.parse(text);
      if (!isRecord(record)) throw new TypeError("it is no object");
      return read(record);
    } catch (cause) {
      throw new StoreError("corrupt", `the record ${key} is damaged`, { cause });
    }
  }
}

/** Maximum size of all records in memory together, in bytes. This is some 50,000 records. */
const MAX_IN_MEMORY = 64 * 1024 * 1024;

/** Memory that a record takes besides its key and its text, in bytes. */
const RECORD_COST = 500;

/**
 * Creates records in memory, which are gone when the program ends. The least recently used records
 * are evicted, so that uploads can't fill the memory.
 *
 * @param limit maximum size of all records together, in bytes
 */
export function memoryRecords(limit: number = MAX_IN_MEMORY): UploadRecords {
  const cost = ([key, text]: readonly [string, string]): number => 2 * (key.length + text.length) + RECORD_COST;
  const records = new RecentlyUsed<string, readonly [key: string, text: string]>(limit, cost);
  return {
    get: async (key) => records.get(key)?.[1],
    async put(added) {
      for (const record of added) records.set(record[0], record);
    },
  };
}

function readBlob({ digest, size }: Readonly<Record<string, unknown>>): UploadedBlob {
  if (typeof digest !== "string" || typeof size !== "number") throw new TypeError("a field of a blob is missing");
  return { digest: asDigest(fromHex(digest), "digest of an upload"), size };
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}
