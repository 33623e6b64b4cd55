import type { ObjectGroup } from "../../castore/object-store.ts";

/**
 * Size in bytes, and number of objects, at which a batch is full. Twice as much may be in memory:
 * one batch fills while another one is written.
 */
const FULL_BYTES = 16 * 1024 * 1024;
const FULL_COUNT = 8192;

/**
 * Objects that are only in memory, in the groups of `ObjectStore.putMany`. The groups of several
 * calls are merged by their index: an object of any call is written after all objects that precede
 * it in its own call.
 */
export class StagedObjects {
  readonly #groups: Map<string, Uint8Array>[] = [];
  #bytes = 0;

  constructor(...batches: readonly (StagedObjects | undefined)[]) {
    for (const batch of batches)
      for (const [i, group] of (batch?.groups ?? []).entries()) for (const [key, bytes] of group) this.add(i, key, bytes);
  }

  get groups(): readonly ObjectGroup[] {
    return this.#groups;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get count(): number {
    return this.#groups.reduce((sum, group) => sum + group.size, 0);
  }

  get isFull(): boolean {
    return this.bytes >= FULL_BYTES || this.count >= FULL_COUNT;
  }

  /**
   * @param group index of the group
   * @param key key of an object that is not yet staged
   */
  add(group: number, key: string, bytes: Uint8Array): void {
    while (this.#groups.length <= group) this.#groups.push(new Map());
    this.#groups[group]?.set(key, bytes);
    this.#bytes += bytes.length;
  }

  get(key: string): Uint8Array | undefined {
    for (const group of this.#groups) {
      const bytes = group.get(key);
      if (bytes) return bytes;
    }
    return undefined;
  }
}
