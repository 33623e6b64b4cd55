/** Bytes of a buffer that is read into. */
const SIZE = 512 * 1024;
/** Buffers that wait to be used again. */
const MAX_FREE = 32;

/** Buffers to read into, used again and again: fresh memory costs more than what is read into it. */
export class ReadBuffers {
  readonly #free: ArrayBuffer[] = [];

  take(): ArrayBuffer {
    return this.#free.pop() ?? new ArrayBuffer(SIZE);
  }

  /** @param buffer that nobody needs any more; one of another size is let go */
  give(buffer: ArrayBuffer): void {
    if (buffer.byteLength === SIZE && this.#free.length < MAX_FREE) this.#free.push(buffer);
  }
}

/** A read that fills its buffer, unless the stream ends before; browsers that don't know the option fill it less. */
interface FillingReader {
  read(view: Uint8Array<ArrayBuffer>, options: { min: number }): Promise<{ done: boolean; value?: Uint8Array<ArrayBuffer> }>;
}

/**
 * Iterates over a byte stream in pieces of some 512 KiB, each of which begins a buffer of its own, that the caller may give to `buffers`.
 * `undefined` if `stream` is none. Ends as `iterate` does.
 */
export function readByteStream(
  stream: ReadableStream<Uint8Array>,
  buffers: ReadBuffers,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array<ArrayBuffer>> | undefined {
  let reader: ReadableStreamBYOBReader;
  try {
    reader = stream.getReader({ mode: "byob" });
  } catch {
    // Locked, or a stream of whatever: the next reader will tell.
    return undefined;
  }
  return read(reader, buffers, signal);
}

async function* read(
  reader: ReadableStreamBYOBReader,
  buffers: ReadBuffers,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const cancel = (): void => {
    reader.cancel(signal?.reason).catch(() => {});
  };
  signal?.addEventListener("abort", cancel);
  let finished = false;
  try {
    signal?.throwIfAborted();
    for (;;) {
      const result = await (reader as FillingReader).read(new Uint8Array(buffers.take()), { min: SIZE });
      signal?.throwIfAborted();
      if (result.value && result.value.length > 0) yield result.value;
      if (result.done) break;
    }
    finished = true;
  } finally {
    signal?.removeEventListener("abort", cancel);
    if (!finished) cancel();
    reader.releaseLock();
  }
}
