/** Number of items in one message to the page. */
const BATCH = 100;

/** Gathers the items of `list` in arrays, because each message to the page costs a turn. */
export async function* inBatches<T>(list: () => AsyncIterable<T>): AsyncGenerator<T[]> {
  let batch: T[] = [];
  for await (const item of list()) {
    batch.push(item);
    if (batch.length < BATCH) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}
