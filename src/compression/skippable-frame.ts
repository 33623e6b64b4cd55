import { viewOf } from "../bytes.ts";
import type { CompressedInput } from "./compressed-input.ts";

/** Magic of a skippable frame. Writers choose the last four bits. */
const SKIPPABLE_MAGIC = 0x184d2a50;

/**
 * Whether `magic` begins a frame that zstd and lz4 skip. It is the first four bytes in
 * little-endian order.
 */
export function isSkippable(magic: number): boolean {
  return (magic & ~0xf) >>> 0 === SKIPPABLE_MAGIC;
}

/** Whether these bytes begin with such a frame. */
export function startsSkippable(bytes: Uint8Array): boolean {
  return bytes.length >= 4 && isSkippable(viewOf(bytes).getUint32(0, true));
}

/** Skips such a frame: four bytes of magic, four bytes of length, and the content. */
export async function skipFrame(input: CompressedInput): Promise<void> {
  await input.need(8);
  let rest = viewOf(input.take(8)).getUint32(4, true);
  while (rest > 0) {
    await input.need(1);
    rest -= input.take(Math.min(rest, input.bytes.length)).length;
  }
}
