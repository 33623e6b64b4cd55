import { cut_next, cut_open } from "./cut";
import { STREAM_SIZE, stream_copy, stream_end, stream_open, stream_update } from "./stream";

// Layout of a pass:
//
// - 0: stream of the blob
// - CHUNK: stream of the current chunk
// - CUTTER: cutter
// - LATER: u32, whether a chunk has ended
// - ODD: u32, the byte that waits for the second byte of its pair, plus 256; or 0. The place to cut
//   is known only after both bytes.
const CHUNK: usize = STREAM_SIZE;
const CUTTER: usize = 2 * STREAM_SIZE;
const LATER: usize = CUTTER + 16;
const ODD: usize = CUTTER + 20;

export function pass_size(): u32 {
  return CUTTER + 24;
}

export function pass_open(s: usize, outboard: u32): void {
  stream_open(s, 0, 0, 0, outboard);
  stream_open(s + CHUNK, 0, 0, 0, 0);
  cut_open(s + CUTTER, 0);
  store<u64>(s + LATER, 0);
}

function chunkEnd(s: usize, result: usize): void {
  if (!load<u32>(s + LATER)) {
    // The first chunk's tree is the beginning of the blob's tree.
    stream_copy(s + CHUNK, s);
    store<u32>(s + CHUNK, 0, 60);
    store<u32>(s + LATER, 1);
  }
  store<u32>(result, load<u32>(s + CUTTER, 8));
  stream_end(s + CHUNK, 1, result + 4);
  stream_open(s + CHUNK, 0, 0, 0, 0);
  cut_open(s + CUTTER, 0);
}

/**
 * Cuts the bytes, and hashes the chunks and the blob. Overwrites the byte before `p`. Returns the
 * number of chunks that ended. For each chunk it writes 36 bytes to `results`: u32 length, digest.
 * If `final` is not 0, `stream_end(s, 1, ...)` then returns the blob's digest.
 */
export function pass_update(s: usize, p: usize, length: u32, final: u32, results: usize): u32 {
  const end = p + length;
  const odd = load<u32>(s + ODD);
  let later = load<u32>(s + LATER);
  let result = results;
  // The blob is hashed in the pieces that come, which keeps their BLAKE3 chunks together. During
  // the first chunk, the blob's stream is hashed in the pieces of the chunk.
  if (later && length) stream_update(s, p, length);
  if (odd) {
    p -= 1;
    store<u8>(p, odd);
  }
  for (;;) {
    const rest = final ? end - p : (end - p) & ~1;
    if (!rest) break;
    const size = cut_next(s + CUTTER, p, rest);
    stream_update(later ? s + CHUNK : s, p, size);
    p += size;
    if (load<u32>(s + CUTTER, 12)) {
      chunkEnd(s, result);
      result += 36;
      if (!later) {
        later = 1;
        if (p < end) stream_update(s, p, end - p);
      }
    }
  }
  if (final && load<u32>(s + CUTTER, 8)) {
    chunkEnd(s, result);
    result += 36;
  }
  store<u32>(s + ODD, p < end ? 256 | load<u8>(p) : 0);
  return (result - results) / 36;
}
