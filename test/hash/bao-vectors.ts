import { readFileSync } from "node:fs";
import { toHex } from "../../src/bytes.ts";
import { blake3, kernel } from "../../src/hash/blake3.ts";
import { type Outboard, outboardOf } from "../../src/hash/outboard.ts";
import { pseudoRandom } from "../conformance/content.ts";

/** Facts about an encoding by the Rust crate bao-tree, written by make-bao-vectors. */
interface Facts {
  size: number;
  /** Length of the crate's bytes, which start with the 8 bytes of the size. */
  length: number;
  blake3: string;
  hex?: string;
}

interface Vectors {
  seed: number;
  outboards: (Facts & { groupLog: number; root: string })[];
  slices: (Facts & { first: number; end: number })[];
}

export const vectors: Vectors = JSON.parse(readFileSync(new URL("bao-vectors.json", import.meta.url), "utf8"));

export function content(size: number): Uint8Array {
  return pseudoRandom(size, vectors.seed);
}

/** The same facts about an encoding of ours, without its own first 8 bytes. */
export function factsOf(size: number, encoded: Uint8Array, { hex }: Facts): Facts {
  const bytes = encoded.subarray(8);
  return { size, length: bytes.length, blake3: toHex(blake3(bytes)), ...(hex !== undefined && { hex: toHex(bytes) }) };
}

/** Digest and outboard of a blob, as the store makes them. */
export function treeOf(bytes: Uint8Array): { root: Uint8Array; outboard: Outboard } {
  const { digest, outboard } = outboardOf(bytes);
  return { root: digest, outboard };
}

/**
 * Makes an outboard with groups of any size. Normally only long content has large groups, so tests
 * use this for short content. It follows the definition, and is slow.
 */
export function outboardWith(bytes: Uint8Array, groupSize: number): Outboard {
  const nodes: Uint8Array[] = [];
  const value = (from: number, to: number): Uint8Array => {
    const count = Math.ceil((to - from) / groupSize);
    if (count <= 1) return kernel.subtree(bytes.subarray(from, to), from / 1024);
    const middle = from + groupSize * 2 ** Math.floor(Math.log2(count - 1));
    const node = new Uint8Array(64);
    nodes.push(node);
    node.set(value(from, middle));
    node.set(value(middle, to), 32);
    return kernel.parent(node.subarray(0, 32), node.subarray(32), false);
  };
  value(0, bytes.length);
  const joined = new Uint8Array(64 * nodes.length);
  for (const [i, node] of nodes.entries()) joined.set(node, 64 * i);
  return { size: bytes.length, groupSize, nodes: joined };
}

/** Returns a generator of numbers from 0 to below `limit`. The sequence is the same in each run. */
export function random(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}

/** Cuts `bytes` into pieces of random lengths, some of them empty. */
export function* inPieces(bytes: Uint8Array, next: (limit: number) => number, longest = 50_000): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; ) {
    const length = next(4) === 0 ? next(3) : next(longest);
    yield bytes.subarray(at, at + length);
    at += length;
  }
}

export function flipped(bytes: Uint8Array, bit: number): Uint8Array {
  const copy = bytes.slice();
  copy[bit >> 3] = (copy[bit >> 3] as number) ^ (1 << (bit & 7));
  return copy;
}

/** Returns the code of the StoreError that `work` throws. */
export function codeOf(work: () => unknown): string | undefined {
  try {
    work();
  } catch (error) {
    if (error instanceof Error && "code" in error) return String(error.code);
    throw error;
  }
  return undefined;
}
