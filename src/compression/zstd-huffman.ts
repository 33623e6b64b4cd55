import { BackwardBits } from "./backward-bits.ts";
import { readFseTable } from "./zstd-fse.ts";

/** Maximum length of a code, and of the description's states, in bits. */
const MAX_LOG = 11;
const MAX_WEIGHTS_LOG = 6;

/** Decoding table: for each sequence of `log` bits, the symbol whose code it begins with. */
export interface HuffmanTable {
  readonly log: number;
  readonly symbols: Uint8Array;
  /** Length of the symbol's code, in bits. */
  readonly bits: Uint8Array;
}

/**
 * Reads the description of a Huffman tree (RFC 8878, 4.2.1).
 *
 * @param bytes begin with the description
 * @returns the table and the description's length in bytes
 * @throws Error if the description is damaged
 */
export function readHuffmanTable(bytes: Uint8Array): [table: HuffmanTable, length: number] {
  const [first = 0] = bytes;
  const length = 1 + (first < 128 ? first : (first - 126) >> 1);
  if (length > bytes.length) throw new Error("a block is damaged");
  const described = bytes.subarray(1, length);
  const weights = first < 128 ? compressedWeights(described) : plainWeights(described, first - 127);
  return [huffmanTable(weights), length];
}

function plainWeights(bytes: Uint8Array, count: number): number[] {
  return Array.from({ length: count }, (_, i) => {
    const byte = bytes[i >> 1] as number;
    return i % 2 === 0 ? byte >> 4 : byte & 15;
  });
}

/** Decodes weights with two states, which alternate until the bits are used up. */
function compressedWeights(bytes: Uint8Array): number[] {
  const [table, start] = readFseTable(bytes, MAX_WEIGHTS_LOG, MAX_LOG + 1);
  const bits = new BackwardBits(bytes.subarray(start));
  let state = bits.read(table.log);
  let other = bits.read(table.log);
  if (bits.left < 0) throw new Error("a block is damaged");
  const weights: number[] = [];
  while (weights.length < 255) {
    weights.push(table.symbols[state] as number);
    const next = (table.bases[state] as number) + bits.read(table.bits[state] as number);
    if (bits.left < 0) {
      weights.push(table.symbols[other] as number);
      return weights;
    }
    state = other;
    other = next;
  }
  throw new Error("a block is damaged");
}

/** @param weights of all symbols except the last one, whose weight follows from the others */
function huffmanTable(weights: number[]): HuffmanTable {
  const weigh = (weight: number): number => (weight === 0 ? 0 : 1 << (weight - 1));
  const sum = weights.reduce((total, weight) => total + weigh(weight), 0);
  const log = 32 - Math.clz32(sum);
  const rest = (1 << log) - sum;
  if (sum === 0 || log > MAX_LOG || weights.length > 255 || (rest & (rest - 1)) !== 0) throw new Error("a block is damaged");
  weights.push(32 - Math.clz32(rest));
  const symbols = new Uint8Array(1 << log);
  const bits = new Uint8Array(1 << log);
  let at = 0;
  for (let weight = 1; weight <= log; weight++) {
    for (const [symbol, its] of weights.entries()) {
      if (its !== weight) continue;
      const end = at + weigh(weight);
      symbols.fill(symbol, at, end);
      bits.fill(log + 1 - weight, at, end);
      at = end;
    }
  }
  return { log, symbols, bits };
}

/**
 * Decodes a stream of literals, as many as fit in `output`.
 *
 * @throws Error if the stream is damaged
 */
export function decodeHuffman({ log, symbols, bits }: HuffmanTable, stream: Uint8Array, output: Uint8Array): void {
  let left = new BackwardBits(stream).left;
  const mask = (1 << log) - 1;
  for (let i = 0; i < output.length; i++) {
    const at = left - log;
    const byte = at >> 3;
    let code: number;
    if (at >= 0) code = ((stream[byte] as number) | ((stream[byte + 1] ?? 0) << 8) | ((stream[byte + 2] ?? 0) << 16)) >> (at & 7);
    // The last codes may be shorter than the looked-up bits. Zeros follow them.
    else code = left > 0 ? ((stream[0] as number) | ((stream[1] ?? 0) << 8)) << -at : 0;
    code &= mask;
    output[i] = symbols[code] as number;
    left -= bits[code] as number;
    if (left < 0) break;
  }
  if (left !== 0) throw new Error("a block is damaged");
}
