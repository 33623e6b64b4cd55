import { asBuffer, type Bytes, inOneTurn, type LmdbEnvironment } from "../lmdb.ts";
import type { ObjectBatch } from "./staged-objects.ts";

/**
 * Holds objects in one database until they become files. The objects are on disk there. A database
 * is fast: to flush each small file separately costs a hundred times as much as to write it.
 */
export class ObjectJournal {
  readonly #environment: LmdbEnvironment;
  readonly #database: Bytes;
  #count = 0;
  #bytes = 0;

  /** Opens the journal of the object store that uses this environment. */
  constructor(environment: LmdbEnvironment) {
    this.#environment = environment;
    this.#database = environment.database("object-journal");
    for (const { value } of this.#database.getRange()) {
      this.#count++;
      this.#bytes += value.length;
    }
  }

  get count(): number {
    return this.#count;
  }

  /** Bytes of all objects in the journal. */
  get bytes(): number {
    return this.#bytes;
  }

  has(path: string): boolean {
    return this.#count > 0 && this.#database.doesExist(Buffer.from(path));
  }

  /** Reads an object. The bytes are only valid until the next call. */
  get(path: string): Uint8Array | undefined {
    return this.#count > 0 ? this.#database.getBinary(Buffer.from(path)) : undefined;
  }

  /**
   * Adds objects in one transaction. None of them may be in the journal already. Writes to the same
   * environment after the call only survive a crash together with these objects. Resolves when the
   * objects survive a crash.
   *
   * @throws StoreError `quota` if the disk is full, otherwise `unavailable`
   */
  async add({ chunks, blobs }: ObjectBatch): Promise<void> {
    const objects = [...chunks, ...blobs];
    await this.#environment.written("can't store objects", () =>
      inOneTurn(objects, ([path, bytes]) => this.#database.put(Buffer.from(path), asBuffer(bytes))),
    );
    this.#count += objects.length;
    for (const [, bytes] of objects) this.#bytes += bytes.length;
    await this.#environment.flush();
  }

  /**
   * Copies some objects, at least one if the journal isn't empty. Returns blob entries only if the
   * journal has no chunks.
   */
  some(maxCount: number, maxBytes: number): ObjectBatch {
    let bytes = 0;
    const read = (start: string, end: string): Map<string, Uint8Array> => {
      const found = new Map<string, Uint8Array>();
      for (const { key, value } of this.#database.getRange({ start: Buffer.from(start), end: Buffer.from(end) })) {
        if (found.size >= maxCount || bytes >= maxBytes) break;
        found.set(key.toString("latin1"), value.slice());
        bytes += value.length;
      }
      return found;
    };
    const chunks = read("chunks/", "chunks0");
    return chunks.size > 0 ? { chunks, blobs: new Map() } : { chunks, blobs: read("blobs/", "blobs0") };
  }

  /**
   * @throws StoreError `quota` if the disk is full, otherwise `unavailable`
   */
  async remove({ chunks, blobs }: ObjectBatch): Promise<void> {
    const objects = [...chunks, ...blobs];
    await this.#environment.written("can't remove objects from the journal", () =>
      inOneTurn(objects, ([path]) => this.#database.remove(Buffer.from(path))),
    );
    this.#count -= objects.length;
    for (const [, bytes] of objects) this.#bytes -= bytes.length;
  }
}
