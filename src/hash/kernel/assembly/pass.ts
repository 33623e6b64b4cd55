import { cut_next, cut_open } from "./cut";
import { STREAM_SIZE, stream_copy, stream_end, stream_open, stream_update } from "./stream";

// A pass: 0 the blob's stream, then that of the chunk, then the cutter, then u32 whether a chunk has ended, u32 the byte
// that waits for the other one of its pair, plus 256, or 0: where to cut isn't known before.
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
    // The first chunk's tree is the beginning of the blob's.
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
 * Cuts, hashes chunks, and hashes the blob. The byte before `p` is overwritten. Answers the number of chunks that ended; of each,
 * 36 bytes at `results`: u32 length, digest. With `final`, the blob's digest is then due from `stream_end(s, 1, ...)`.
 */
export function pass_update(s: usize, p: usize, length: u32, final: u32, results: usize): u32 {
  const end = p + length;
  const odd = load<u32>(s + ODD);
  let later = load<u32>(s + LATER);
  let result = results;
  // The blob is hashed in pieces as they come, which keeps its chunks together; in the first chunk, as the chunk is.
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
