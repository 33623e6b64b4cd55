/** A set of entries of an `ObjectTable`, one bit for each. */
export class EntrySet {
  #bits = new Uint8Array(0);

  has(entry: number): boolean {
    return (((this.#bits[entry >> 3] ?? 0) >> (entry & 7)) & 1) === 1;
  }

  add(entry: number): void {
    if (entry >> 3 >= this.#bits.length) {
      const grown = new Uint8Array(2 * (entry >> 3) + 1024);
      grown.set(this.#bits);
      this.#bits = grown;
    }
    this.#bits[entry >> 3] = (this.#bits[entry >> 3] as number) | (1 << (entry & 7));
  }

  clear(): void {
    this.#bits = new Uint8Array(0);
  }

  /** Yields the entries in ascending order. May leave out entries that are added meanwhile. */
  *[Symbol.iterator](): Generator<number> {
    const bits = this.#bits;
    for (let i = 0; i < bits.length; i++) {
      for (let byte = bits[i] as number, bit = 0; byte !== 0; byte >>= 1, bit++) if (byte & 1) yield i * 8 + bit;
    }
  }
}
