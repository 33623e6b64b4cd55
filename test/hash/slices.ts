import { expect } from "vitest";
import type { ByteRange } from "../../src/byte-range.ts";
import { concatBytes } from "../../src/bytes.ts";
import type { Outboard } from "../../src/hash/outboard.ts";
import { SliceDecoder } from "../../src/hash/slice-decoder.ts";
import { encodeSlice, type SliceSource } from "../../src/hash/slice-encoder.ts";
import { inPieces, random, treeOf } from "./bao-vectors.ts";

export function sourceOf(bytes: Uint8Array, root: Uint8Array, outboard: Outboard, longest = 100_000): SliceSource {
  return {
    root,
    outboard,
    async *read(offset, length) {
      expect(offset + length).toBeLessThanOrEqual(bytes.length);
      yield* inPieces(bytes.subarray(offset, offset + length), random(length), longest);
    },
  };
}

export async function collect(pieces: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const all: Uint8Array[] = [];
  for await (const piece of pieces) all.push(piece);
  return concatBytes(all);
}

export async function sliceOf(bytes: Uint8Array, range: ByteRange): Promise<{ root: Uint8Array; slice: Uint8Array }> {
  const { root, outboard } = treeOf(bytes);
  return { root, slice: await collect(encodeSlice(sourceOf(bytes, root, outboard), range)) };
}

export function decode(
  root: Uint8Array,
  range: ByteRange,
  pieces: Iterable<Uint8Array>,
): { bytes: Uint8Array; decoder: SliceDecoder } {
  const decoder = new SliceDecoder(root, range);
  const proven: Uint8Array[] = [];
  for (const piece of pieces) proven.push(...decoder.push(piece));
  decoder.finish();
  return { bytes: concatBytes(proven), decoder };
}

export function rejection(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => undefined,
    (error) => error.code,
  );
}
