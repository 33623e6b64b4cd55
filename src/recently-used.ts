/** A map with a size limit. It evicts the least recently used values. */
export class RecentlyUsed<K, V> {
  readonly #limit: number;
  readonly #sizeOf: (value: V) => number;
  /** Ordered from least to most recently used. */
  readonly #values = new Map<K, V>();
  #size = 0;

  /**
   * Creates an empty map.
   *
   * @param limit maximum sum of the sizes of all values
   * @param sizeOf size of a value; 1 by default
   */
  constructor(limit: number, sizeOf: (value: V) => number = () => 1) {
    this.#limit = limit;
    this.#sizeOf = sizeOf;
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
    for (const oldest of this.#values.keys()) {
      if (this.#size <= this.#limit) break;
      this.delete(oldest);
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
