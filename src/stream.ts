import { onAbort } from "./on-abort.ts";

/**
 * Iterates over `stream` like its own async iterator, which some browsers lack. Leaving the loop
 * early, also by an error, cancels the stream. An abort of `signal` cancels it too, even while a
 * read is pending; the iteration then throws `signal.reason`.
 */
export async function* iterate<T>(stream: ReadableStream<T>, signal?: AbortSignal): AsyncGenerator<T> {
  signal?.throwIfAborted();
  const reader = stream.getReader();
  // Cancelling settles a pending read.
  const cancel = (): void => {
    reader.cancel(signal?.reason).catch(() => {});
  };
  const unlink = onAbort(signal, cancel);
  let finished = false;
  try {
    for (;;) {
      const result = await reader.read();
      signal?.throwIfAborted();
      if (result.done) break;
      yield result.value;
    }
    finished = true;
  } finally {
    unlink();
    if (!finished) cancel();
    reader.releaseLock();
  }
}

/**
 * Creates a stream of the values of `source`, pulled on demand. Cancelling it ends the iteration.
 */
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
