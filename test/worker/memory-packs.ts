import type { ByteRange } from "../../src/byte-range.ts";
import { concatBytes } from "../../src/bytes.ts";
import { StoreError } from "../../src/error.ts";
import type { PackStore, PackWriter } from "../../src/worker/pack-store.ts";
import { PackGone } from "../../src/worker/storage-error.ts";

/** Packs in memory. Tests may change `files` at any time. */
export class MemoryPacks implements PackStore {
  /** Finished packs by id. */
  readonly files = new Map<string, Uint8Array>();
  /** Ids of packs that can be neither read nor deleted now. */
  readonly inUse = new Set<string>();
  /** Calls of `finish`. */
  readonly finished: { readonly id: string; readonly sync: string }[] = [];
  readonly aborted: string[] = [];
  /** Ids that were released, and `*` for a call of `close`. */
  readonly released: string[] = [];
  /** Lengths of the parts in which the packs were written. */
  readonly appended: number[] = [];
  /** Number of calls of `read`. */
  reads = 0;
  /** Called before each part is written. */
  onAppend: (bytes: Uint8Array) => void = () => {};
  /** Called before each pack is finished. */
  onFinish: (id: string) => Promise<void> = async () => {};

  async create(id: string): Promise<PackWriter> {
    const parts: Uint8Array[] = [];
    return {
      append: async (bytes) => {
        this.onAppend(bytes);
        this.appended.push(bytes.length);
        parts.push(bytes.slice());
      },
      read: async ({ offset, length }) => concatBytes(parts).slice(offset, offset + length),
      finish: async (sync) => {
        this.finished.push({ id, sync });
        await this.onFinish(id);
        this.files.set(id, concatBytes(parts));
      },
      abort: async () => {
        this.aborted.push(id);
      },
    };
  }

  async read(id: string, ranges: readonly ByteRange[]): Promise<Uint8Array[]> {
    this.reads++;
    if (this.inUse.has(id)) throw new StoreError("unavailable", "the pack is in use");
    const file = this.#file(id);
    return ranges.map(({ offset, length }) => {
      if (offset + length > file.length) throw new PackGone(id, "is cut short");
      return file.slice(offset, offset + length);
    });
  }

  async size(id: string): Promise<number> {
    return this.#file(id).length;
  }

  async list(): Promise<string[]> {
    return [...this.files.keys()];
  }

  async missing(ids: readonly string[]): Promise<string[]> {
    return ids.filter((id) => !this.files.has(id));
  }

  async delete(id: string): Promise<boolean> {
    if (this.inUse.has(id)) return false;
    this.files.delete(id);
    return true;
  }

  release(id: string): void {
    this.released.push(id);
  }

  close(): void {
    this.released.push("*");
  }

  #file(id: string): Uint8Array {
    const file = this.files.get(id);
    if (!file) throw new PackGone(id, "is missing");
    return file;
  }
}
