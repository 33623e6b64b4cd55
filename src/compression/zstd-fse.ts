/** A decoding table of finite state entropy. A state is an index of its arrays. */
export interface FseTable {
  /** Number of bits of the initial state. */
  readonly log: number;
  readonly symbols: Uint8Array;
  /** Number of bits to read for the next state, and the number to add to them. */
  readonly bits: Uint8Array;
  readonly bases: Uint16Array;
}

/** Makes a table with one state. */
export function singleTable(symbol: number): FseTable {
  return { log: 0, symbols: Uint8Array.of(symbol), bits: Uint8Array.of(0), bases: Uint16Array.of(0) };
}

/**
 * Builds the table of RFC 8878, 4.1.1.
 *
 * @param counts number of states of each symbol; -1 for "less than one"
 * @throws Error if they don't add up
 */
export function fseTable(counts: readonly number[], log: number): FseTable {
  const size = 1 << log;
  const symbols = new Uint8Array(size);
  const next = counts.map((count) => (count === -1 ? 1 : count));
  let high = size - 1;
  for (const [symbol, count] of counts.entries()) if (count === -1) symbols[high--] = symbol;
  const step = (size >> 1) + (size >> 3) + 3;
  let at = 0;
  for (const [symbol, count] of counts.entries()) {
    for (let i = 0; i < count; i++) {
      symbols[at] = symbol;
      do at = (at + step) & (size - 1);
      while (at > high);
    }
  }
  if (at !== 0) throw new Error("a block is damaged");
  const bits = new Uint8Array(size);
  const bases = new Uint16Array(size);
  for (let state = 0; state < size; state++) {
    const symbol = symbols[state] as number;
    const number = next[symbol] as number;
    next[symbol] = number + 1;
    const count = log - (31 - Math.clz32(number));
    bits[state] = count;
    bases[state] = (number << count) - size;
  }
  return { log, symbols, bits, bases };
}

/**
 * Reads a table's description.
 *
 * @param bytes begin with the description
 * @returns the table and the description's length in bytes
 * @throws Error if the description is damaged
 */
export function readFseTable(bytes: Uint8Array, maxLog: number, maxSymbol: number): [table: FseTable, length: number] {
  /** Returns at least 17 bits. */
  const peek = (at: number): number => {
    const byte = at >> 3;
    return ((bytes[byte] ?? 0) | ((bytes[byte + 1] ?? 0) << 8) | ((bytes[byte + 2] ?? 0) << 16)) >> (at & 7);
  };
  const log = (peek(0) & 15) + 5;
  if (log > maxLog) throw new Error("a block is damaged");
  let at = 4;
  let remaining = 1 << log;
  const counts: number[] = [];
  while (remaining > 0 && counts.length <= maxSymbol) {
    // A value is at most `remaining + 1`. The lowest values that fit take one bit less.
    const width = 32 - Math.clz32(remaining + 1);
    const short = (1 << width) - 2 - remaining;
    const half = 1 << (width - 1);
    let value = peek(at) & (half - 1);
    if (value < short) at += width - 1;
    else {
      value = peek(at) & (2 * half - 1);
      if (value >= half) value -= short;
      at += width;
    }
    counts.push(value - 1);
    remaining -= Math.abs(value - 1);
    if (value !== 1) continue;
    for (let zeros = 3; zeros === 3; at += 2) {
      zeros = peek(at) & 3;
      for (let i = 0; i < zeros; i++) counts.push(0);
      if (counts.length > maxSymbol + 1) throw new Error("a block is damaged");
    }
  }
  const length = (at + 7) >> 3;
  if (remaining !== 0 || length > bytes.length) throw new Error("a block is damaged");
  return [fseTable(counts, log), length];
}
