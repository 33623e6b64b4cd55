import { asBuffer, type Bytes, inOneTurn, type LmdbEnvironment } from "../lmdb.ts";
import type { ObjectBatch } from "./staged-objects.ts";

/**
 * Objects that are on the disk and no files yet, all in one database: to bring each small file to the disk costs a hundred times its writing.
 */
export class ObjectJournal {
  readonly #environment: LmdbEnvironment;
  readonly #database: Bytes;
  #count = 0;
  #bytes = 0;

  /** The journal of one object store. */
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

  /** Of the objects. */
  get bytes(): number {
    return this.#bytes;
  }

  has(path: string): boolean {
    return this.#count > 0 && this.#database.doesExist(Buffer.from(path));
  }

  /** The bytes are the caller's until the next call. */
  get(path: string): Uint8Array | undefined {
    return this.#count > 0 ? this.#database.getBinary(Buffer.from(path)) : undefined;
  }

  /**
   * Adds them in one step; none may be there. What is written to the same environment after the call does not survive a crash without them.
   *
   * @returns when they survive one
   * @throws StoreError `quota`, `unavailable`
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

  /** Copies of some, at least one if there is any. Blobs' entries come once there is no chunk any more. */
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

  /** @throws StoreError `quota`, `unavailable` */
  async remove({ chunks, blobs }: ObjectBatch): Promise<void> {
    const objects = [...chunks, ...blobs];
    await this.#environment.written("can't remove objects that were stored", () =>
      inOneTurn(objects, ([path]) => this.#database.remove(Buffer.from(path))),
    );
    this.#count -= objects.length;
    for (const [, bytes] of objects) this.#bytes -= bytes.length;
  }
}
