import type { ObjectGroup } from "../../castore/object-store.ts";
import { StoreError } from "../../error.ts";
import { asBuffer, asBytes, type Bytes, inOneTurn, type LmdbEnvironment } from "../lmdb.ts";

/**
 * Holds objects in one database until they are written to an object store. The journal makes small
 * objects durable with one flush of the database. Flushing each small file separately would take a
 * hundred times as long as writing it.
 */
export class ObjectJournal {
  readonly #environment: LmdbEnvironment;
  readonly #database: Bytes;
  readonly #order: readonly string[];
  #count = 0;
  #bytes = 0;

  /**
   * Opens the journal of the object store that uses this environment.
   *
   * @param order the key prefixes, in the order in which `some` returns objects
   */
  constructor(environment: LmdbEnvironment, order: readonly string[]) {
    this.#environment = environment;
    this.#database = environment.database("object-journal");
    this.#order = order;
    for (const { value } of this.#database.getRange()) {
      this.#count++;
      this.#bytes += value.length;
    }
  }

  get count(): number {
    return this.#count;
  }

  /** Total size of the objects in the journal, in bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  has(key: string): boolean {
    return this.#count > 0 && this.#database.doesExist(Buffer.from(key));
  }

  /** Reads a copy of an object. */
  get(key: string): Uint8Array | undefined {
    return this.#count > 0 ? asBytes(this.#database.getBinary(Buffer.from(key))) : undefined;
  }

  /** Sizes of the objects whose keys start with `prefix`. */
  sizes(prefix: string): Map<string, number> {
    const found = new Map<string, number>();
    for (const { key, value } of this.#database.getRange({ start: Buffer.from(prefix) })) {
      const name = key.toString("latin1");
      if (!name.startsWith(prefix)) break;
      found.set(name, value.length);
    }
    return found;
  }

  /**
   * Adds objects in one transaction. None of them may be in the journal already. If a later write
   * to the same environment survives a crash, these objects survive too. Resolves when the objects
   * survive a crash.
   *
   * @throws StoreError `quota` if the disk is full, otherwise `unavailable`
   */
  async add(groups: readonly ObjectGroup[]): Promise<void> {
    const objects = groups.flatMap((group) => [...group]);
    const stray = objects.find(([key]) => !this.#order.some((prefix) => key.startsWith(prefix)));
    if (stray) throw new StoreError("internal", `the journal has no place for the object ${stray[0]}`);
    await this.#environment.written("can't store objects", () =>
      inOneTurn(objects, ([key, bytes]) => this.#database.put(Buffer.from(key), asBuffer(bytes))),
    );
    this.#count += objects.length;
    for (const [, bytes] of objects) this.#bytes += bytes.length;
    await this.#environment.flush();
  }

  /**
   * Copies some objects, at least one if the journal isn't empty. All of them have the same prefix:
   * the first one in `order` for which the journal has objects.
   */
  some(maxCount: number, maxBytes: number): ObjectGroup {
    for (const prefix of this.#order) {
      const found = new Map<string, Uint8Array>();
      let total = 0;
      for (const { key, value } of this.#database.getRange({ start: Buffer.from(prefix), limit: maxCount })) {
        const name = key.toString("latin1");
        if (!name.startsWith(prefix) || total >= maxBytes) break;
        // LMDB reuses the memory of `value`, and the `slice` of a `Buffer` doesn't copy.
        found.set(name, new Uint8Array(value));
        total += value.length;
      }
      if (found.size > 0) return found;
    }
    return new Map();
  }

  /**
   * Removes objects that are now in the object store.
   *
   * @throws StoreError `quota` if the disk is full, otherwise `unavailable`
   */
  async remove(objects: ObjectGroup): Promise<void> {
    await this.#environment.written("can't remove objects from the journal", () =>
      inOneTurn(objects, ([key]) => this.#database.remove(Buffer.from(key))),
    );
    this.#count -= objects.size;
    for (const [, bytes] of objects) this.#bytes -= bytes.length;
  }
}
