import { ROOT, NOWHERE } from "./layout";
import { CHUNK_SIZE, chunksAny, parentOne, parentsFour } from "./tree";

/**
 * Number of chunks by number of blocks (1 to 16); later the addresses in the sorted list of chunks.
 */
const COUNTS: usize = 1792;
/** Queue of up to four waiting parents: addresses, results, flags. */
const QUEUE: usize = 1920;

let queued: u32 = 0;

function flush(): void {
  const last = (queued - 1) << 2;
  if (queued < 3) {
    for (let i: usize = 0; i < queued; i += 1) {
      parentOne(load<u32>(QUEUE + (i << 2)), load<u32>(QUEUE + (i << 2), 32), load<u32>(QUEUE + (i << 2), 16));
    }
  } else {
    parentsFour(
      load<u32>(QUEUE), load<u32>(QUEUE, 4), load<u32>(QUEUE, 8), load<u32>(QUEUE + last), QUEUE + 32,
      load<u32>(QUEUE, 16), load<u32>(QUEUE, 20), load<u32>(QUEUE, 24), queued === 4 ? load<u32>(QUEUE, 28) : NOWHERE,
    );
  }
  queued = 0;
}

/**
 * Hashes `count` blobs. `table` has two u32 for each blob: address, length. The digests go to
 * `out`, one after another. `work` is scratch memory. It takes 88 bytes per chunk of 1024 bytes (a
 * blob has at least one), and 12 bytes per blob of several chunks.
 */
export function hash_many(count: u32, table: usize, out: usize, work: usize): void {
  memory.fill(COUNTS, 0, 68);
  let total: u32 = 0;
  const end = table + (count << 3);
  for (let at = table; at < end; at += 8) {
    const length = load<u32>(at, 4);
    const whole = length >> 10;
    const rest = length & 1023;
    total += whole;
    store<u32>(COUNTS + 64, load<u32>(COUNTS + 64) + whole);
    if (rest || !whole) {
      const place = COUNTS + (<usize>(rest ? (rest + 63) >> 6 : 1) << 2);
      store<u32>(place, load<u32>(place) + 1);
      total += 1;
    }
  }
  let from: u32 = work;
  for (let at = COUNTS + 4; at <= COUNTS + 64; at += 4) {
    const size = load<u32>(at) * CHUNK_SIZE;
    store<u32>(at, from);
    from += size;
  }
  // After the chunks come two arrays of chaining values. Then come the blobs that have parents:
  // offset of their values, number of values, address of the result.
  let a: usize = work + total * CHUNK_SIZE;
  let b: usize = a + (total << 5);
  const blobs = b + (total << 5);
  let blobsEnd = blobs;
  let value = a;
  let digest = out;
  for (let at = table; at < end; at += 8) {
    let p: usize = load<u32>(at);
    let length = load<u32>(at, 4);
    const single = length <= 1024;
    const first = value;
    let counter: u64 = 0;
    do {
      const size = min(length, 1024);
      const bucket = COUNTS + (<usize>(size ? (size + 63) >> 6 : 1) << 2);
      const chunk: usize = load<u32>(bucket);
      store<u32>(bucket, chunk + CHUNK_SIZE);
      store<u32>(chunk, p);
      store<u32>(chunk, size, 4);
      store<u64>(chunk, counter, 8);
      if (single) {
        store<u32>(chunk, digest, 16);
        store<u32>(chunk, ROOT, 20);
      } else {
        store<u32>(chunk, value, 16);
        store<u32>(chunk, 0, 20);
        value += 32;
      }
      p += size;
      length -= size;
      counter += 1;
    } while (length);
    if (!single) {
      store<u32>(blobsEnd, (first - a), 0);
      store<u32>(blobsEnd, (value - first) >> 5, 4);
      store<u32>(blobsEnd, digest, 8);
      blobsEnd += 12;
    }
    digest += 32;
  }
  for (let i: u32 = 0; i < total; i += 4) chunksAny(work + i * CHUNK_SIZE, min(4, total - i));

  // Computes the parents level by level. An odd value moves up unchanged. Each level writes to the
  // other array, because queued parents still need the values of the current one.
  while (blobsEnd > blobs) {
    let kept = blobs;
    for (let at = blobs; at < blobsEnd; at += 12) {
      const offset: usize = load<u32>(at);
      const values = load<u32>(at, 4);
      const result: usize = load<u32>(at, 8);
      const pairs = values >> 1;
      for (let i: u32 = 0; i < pairs; i += 1) {
        const place = QUEUE + (queued << 2);
        store<u32>(place, a + offset + (i << 6));
        store<u32>(place, values === 2 ? result : b + offset + (i << 5), 16);
        store<u32>(place, values === 2 ? ROOT : 0, 32);
        queued += 1;
        if (queued === 4) flush();
      }
      if (values & 1) memory.copy(b + offset + (pairs << 5), a + offset + ((values - 1) << 5), 32);
      if (values > 2) {
        store<u32>(kept, offset);
        store<u32>(kept, pairs + (values & 1), 4);
        store<u32>(kept, result, 8);
        kept += 12;
      }
    }
    if (queued) flush();
    blobsEnd = kept;
    const other = a;
    a = b;
    b = other;
  }
}
