import { viewOf } from "../bytes.ts";
import type { CompressedInput } from "./compressed-input.ts";
import { decodeLz4Block } from "./lz4-block.ts";

export const LEGACY_MAGIC = 0x184c2102;
/** Longest content of a block, in bytes. */
export const LEGACY_BLOCK = 8 * 1024 * 1024;
/**
 * Maximum length of a compressed block, in bytes. A larger number in place of the length is the
 * magic of another frame.
 */
const LONGEST = LEGACY_BLOCK + Math.trunc(LEGACY_BLOCK / 255) + 16;

/**
 * The blocks of a legacy frame (`lz4 -l`, also used by Linux's images), which the LZ4 frame format
 * 1.6 describes at its end. A block is a length and data. The last block has no mark: the end of
 * the input, zeros or another frame follow. There are no checksums.
 *
 * @param buffer of at least `LEGACY_BLOCK` bytes
 * @returns the content of each block, valid until the next
 * @throws Error if a block is damaged or cut short
 */
export async function* legacyBlocks(input: CompressedInput, buffer: Uint8Array): AsyncGenerator<Uint8Array> {
  while (await input.has(4)) {
    const length = viewOf(input.bytes).getUint32(0, true);
    if (length === 0 || length > LONGEST) return;
    await input.need(4 + length);
    const block = input.take(4 + length).subarray(4);
    yield buffer.subarray(0, decodeLz4Block(block, buffer, 0, LEGACY_BLOCK, 0));
  }
}
