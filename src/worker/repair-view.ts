import type { Digest } from "../castore/digest.ts";
import type { DirectoryEntry } from "../castore/directory.ts";
import { decodeDirectory } from "../castore/directory-codec.ts";
import type { Node } from "../castore/node.ts";
import { isStoreError } from "../error.ts";
import { EntrySet } from "./entry-set.ts";
import { readIntact } from "./object-check.ts";
import { BLOB, CHUNK, DIRECTORY, NONE, type ObjectKind } from "./object-table.ts";
import type { ObjectView } from "./object-view.ts";
import type { IndexRecord } from "./packed-index.ts";
import type { PackedStore } from "./packed-store.ts";

/**
 * The objects of the index together with the objects of the packs that a repair adds. An object of
 * these packs is `intact` if it matches its digest, and `whole` if everything that it refers to
 * exists too. `has` and `read` find a chunk or directory only if it is in the index or intact.
 */
export class RepairView implements ObjectView {
  readonly #store: PackedStore;
  readonly #records = new Set<IndexRecord>();
  readonly #intact = new EntrySet();
  readonly #whole = new EntrySet();
  /** Directories that `checkDirectory` has already checked. */
  readonly #checked = new EntrySet();
  /** The only blob of several chunks that `has` and `read` find. `showBlob` sets it. */
  #blob = NONE;
  readonly #isShown = (record: IndexRecord, entry: number): boolean => (record.alive && !record.missing) || this.#intact.has(entry);
  readonly #isComplete = (record: IndexRecord, entry: number): boolean =>
    (record.alive && !record.missing) || this.#whole.has(entry);

  constructor(store: PackedStore) {
    this.#store = store;
  }

  /** Adds the record of a pack. Its objects are neither intact nor whole yet. */
  add(record: IndexRecord): void {
    this.#records.add(record);
  }

  /** Whether a record is one of the added packs. */
  covers(record: IndexRecord): boolean {
    return this.#records.has(record);
  }

  markIntact(entry: number): void {
    this.#intact.add(entry);
  }

  markWhole(entry: number): void {
    this.#whole.add(entry);
  }

  isIntact(entry: number): boolean {
    return this.#intact.has(entry);
  }

  isWhole(entry: number): boolean {
    return this.#whole.has(entry);
  }

  async has(kind: ObjectKind, digests: readonly Digest[]): Promise<boolean[]> {
    return digests.map((digest) => this.#find(kind, digest) !== NONE);
  }

  async read(kind: ObjectKind, digests: readonly Digest[]): Promise<(Uint8Array | undefined)[]> {
    const { table } = this.#store;
    const entries = digests.map((digest) => this.#find(kind, digest));
    return this.#store.readLocations(entries.map((entry) => (entry === NONE ? undefined : table.location(entry))));
  }

  /**
   * Makes `has` and `read` find this blob of several chunks, so that the caller can check it.
   * Without this call, they could find another entry with the same digest.
   */
  showBlob(entry: number): void {
    this.#blob = entry;
  }

  #find(kind: ObjectKind, digest: Digest): number {
    return this.#store.table.find(digest, kind, kind === BLOB ? (_, entry) => entry === this.#blob : this.#isShown);
  }

  /** Whether the content of a node exists. Directories must have been checked before. */
  isNodeWhole(node: Node): boolean {
    if (node.kind === "symlink" || node.size === 0n) return true;
    const kinds: readonly ObjectKind[] = node.kind === "directory" ? [DIRECTORY] : [CHUNK, BLOB];
    return kinds.some((kind) => this.#store.table.find(node.digest, kind, this.#isComplete) !== NONE);
  }

  /**
   * Checks an intact directory and the directories below it, and marks those that are whole. Keeps
   * its own stack, because outside data decides how deep trees are.
   */
  async checkDirectory(start: number): Promise<boolean> {
    const { table } = this.#store;
    const opened = new EntrySet();
    const stack = [start];
    for (let entry = stack.at(-1); entry !== undefined; entry = stack.at(-1)) {
      if (this.#checked.has(entry)) {
        stack.pop();
        continue;
      }
      const children = await this.#children(entry);
      if (children && !opened.has(entry)) {
        opened.add(entry);
        const depth = stack.length;
        for (const { node } of children) {
          if (node.kind !== "directory" || this.isNodeWhole(node)) continue;
          const child = table.find(node.digest, DIRECTORY, (_, other) => this.#intact.has(other) && !this.#checked.has(other));
          if (child !== NONE) stack.push(child);
        }
        if (stack.length > depth) continue;
      }
      stack.pop();
      this.#checked.add(entry);
      if (children?.every(({ node }) => this.isNodeWhole(node))) this.#whole.add(entry);
    }
    return this.#whole.has(start);
  }

  /** @returns `undefined` if the object can't be read, or is no directory */
  async #children(entry: number): Promise<readonly DirectoryEntry[] | undefined> {
    const [bytes] = await readIntact(this.#store, [this.#store.table.location(entry)]);
    try {
      return bytes && decodeDirectory(bytes).entries;
    } catch (error) {
      if (!isStoreError(error)) throw error;
      return undefined;
    }
  }
}
