/**
 * Iterates over `stream`, as its own async iterator would, which not every browser has. Leaving the loop early, by an error too,
 * cancels the stream; so does `signal`, even while a read is waiting, and the iteration then throws `signal.reason`.
 */
export async function* iterate<T>(stream: ReadableStream<T>, signal?: AbortSignal): AsyncGenerator<T> {
  signal?.throwIfAborted();
  const reader = stream.getReader();
  let onAbort: (() => void) | undefined;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal?.reason);
    signal?.addEventListener("abort", onAbort);
  });
  // Nobody may be waiting when the signal comes: the next turn of the loop sees it.
  aborted.catch(() => {});
  let finished = false;
  try {
    for (;;) {
      const result = await Promise.race([reader.read(), aborted]);
      if (result.done) break;
      yield result.value;
    }
    finished = true;
  } finally {
    if (onAbort) signal?.removeEventListener("abort", onAbort);
    if (!finished) reader.cancel(signal?.reason).catch(() => {});
    reader.releaseLock();
  }
}

/** A stream of what `source` yields, pulled as it is read. Cancelling it ends the iteration. */
export function streamOf<T>(source: AsyncIterable<T>): ReadableStream<T> {
  const iterator = source[Symbol.asyncIterator]();
  return new ReadableStream<T>(
    {
      async pull(controller) {
        try {
          const result = await iterator.next();
          if (result.done) controller.close();
          else controller.enqueue(result.value);
        } catch (error) {
          controller.error(error);
        }
      },
      async cancel() {
        await iterator.return?.();
      },
    },
    { highWaterMark: 0 },
  );
}
