/** Maximum distance of a match, in bytes. */
export const LZ4_WINDOW = 64 * 1024;

const MIN_MATCH = 4;

/**
 * Decodes a block of LZ4. It consists of sequences of literals and a match; the last sequence has
 * no match.
 *
 * @param output holds the window before `start`; the block's content is written from `start` on
 * @param limit offset in `output` that the content must not exceed
 * @param first lowest offset in `output` that a match may refer to
 * @returns the offset in `output` after the content
 * @throws Error if the block is damaged
 */
export function decodeLz4Block(block: Uint8Array, output: Uint8Array, start: number, limit: number, first: number): number {
  let at = 0;
  let to = start;
  /** Reads the rest of a length that doesn't fit in its four bits of the token. */
  const more = (): number => {
    for (let length = 0; ; ) {
      const byte = byteAt(block, at++);
      length += byte;
      if (byte !== 255) return length;
    }
  };
  for (;;) {
    const token = byteAt(block, at++);
    const literals = token >> 4 === 15 ? 15 + more() : token >> 4;
    if (literals > block.length - at || literals > limit - to) throw damaged();
    if (literals > 32) output.set(block.subarray(at, at + literals), to);
    else for (let i = 0; i < literals; i++) output[to + i] = block[at + i] as number;
    at += literals;
    to += literals;
    if (at === block.length) return to;
    const distance = byteAt(block, at) | (byteAt(block, at + 1) << 8);
    at += 2;
    const length = MIN_MATCH + ((token & 15) === 15 ? 15 + more() : token & 15);
    if (distance === 0 || distance > to - first || length > limit - to) throw damaged();
    // A match may overlap with itself.
    if (length > 32 && distance >= length) output.copyWithin(to, to - distance, to - distance + length);
    else for (let i = 0; i < length; i++) output[to + i] = output[to + i - distance] as number;
    to += length;
  }
}

function byteAt(bytes: Uint8Array, at: number): number {
  const byte = bytes[at];
  if (byte === undefined) throw damaged();
  return byte;
}

function damaged(): Error {
  return new Error("a block is damaged");
}
