/** Random numbers that only depend on a seed, so that a run can be repeated. */
export class Random {
  #state: number;

  /**
   * @param parts parts of the seed, such as the number of the run and of the round
   */
  constructor(...parts: readonly number[]) {
    let state = 0x9e3779b9;
    for (const part of parts) state = mixed(state ^ (part | 0));
    this.#state = state;
  }

  /** Returns a number from 0 (inclusive) to 1 (exclusive). */
  fraction(): number {
    this.#state = (this.#state + 0x9e3779b9) | 0;
    return (mixed(this.#state) >>> 0) / 2 ** 32;
  }

  /** Returns a whole number from `low` to `high`, both inclusive. */
  whole(low: number, high: number): number {
    return low + Math.floor(this.fraction() * (high - low + 1));
  }

  chance(probability: number): boolean {
    return this.fraction() < probability;
  }

  pick<T>(values: readonly T[]): T {
    if (values.length === 0) throw new Error("there is nothing to pick from");
    return values[this.whole(0, values.length - 1)] as T;
  }

  /** Returns a key, with a probability proportional to its weight. */
  weighted<K extends string>(weights: Readonly<Record<K, number>>): K {
    const entries = Object.entries(weights) as [K, number][];
    let left = this.fraction() * entries.reduce((sum, [, weight]) => sum + weight, 0);
    for (const [key, weight] of entries) {
      left -= weight;
      if (left < 0) return key;
    }
    return (entries.find(([, weight]) => weight > 0) ?? (entries[0] as [K, number]))[0];
  }
}

/** Mixes the bits, so that a change of one bit affects all 32. */
function mixed(value: number): number {
  let x = value;
  x = Math.imul(x ^ (x >>> 16), 0x21f0aaad);
  x = Math.imul(x ^ (x >>> 15), 0x735a2d97);
  return x ^ (x >>> 15);
}

/** Creates bytes that only depend on the seed and don't compress. */
export function randomBytes(size: number, seed: number): Uint8Array<ArrayBuffer> {
  const words = new Uint32Array(Math.ceil(size / 4));
  let state = mixed(seed ^ 0x5bf03635) || 1;
  for (let i = 0; i < words.length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[i] = state;
  }
  return new Uint8Array(words.buffer, 0, size);
}
