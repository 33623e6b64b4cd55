/** A map with a size limit. It evicts the least recently used values. */
export class RecentlyUsed<K, V> {
  readonly #limit: number;
  readonly #sizeOf: (value: V) => number;
  readonly #onEvict: ((key: K, value: V) => void) | undefined;
  /** Ordered from least to most recently used. */
  readonly #values = new Map<K, V>();
  #size = 0;

  /**
   * Creates an empty map.
   *
   * @param limit maximum sum of the sizes of all values
   * @param sizeOf size of a value; 1 by default
   * @param onEvict called with each value that is evicted to make room; not for `delete` and
   *   `clear`
   */
  constructor(limit: number, sizeOf: (value: V) => number = () => 1, onEvict?: (key: K, value: V) => void) {
    this.#limit = limit;
    this.#sizeOf = sizeOf;
    this.#onEvict = onEvict;
  }

  /** Entries from least to most recently used. */
  entries(): IterableIterator<[K, V]> {
    return this.#values.entries();
  }

  /** Returns a value without making it the most recently used one. */
  peek(key: K): V | undefined {
    return this.#values.get(key);
  }

  get(key: K): V | undefined {
    const value = this.#values.get(key);
    if (value === undefined) return undefined;
    this.#values.delete(key);
    this.#values.set(key, value);
    return value;
  }

  set(key: K, value: V): void {
    this.delete(key);
    this.#values.set(key, value);
    this.#size += this.#sizeOf(value);
    for (const [oldest, evicted] of this.#values) {
      if (this.#size <= this.#limit) break;
      this.delete(oldest);
      this.#onEvict?.(oldest, evicted);
    }
  }

  delete(key: K): void {
    const value = this.#values.get(key);
    if (value === undefined) return;
    this.#values.delete(key);
    this.#size -= this.#sizeOf(value);
  }

  clear(): void {
    this.#values.clear();
    this.#size = 0;
  }
}
