import { onAbort } from "./on-abort.ts";

/** Bytes of a buffer that is read into: at first, so that work begins soon, and at most, since each takes a message to a hash worker. */
const MIN_SIZE = 512 * 1024;
const MAX_SIZE = 2 * 1024 * 1024;
/** A buffer is this part of what was read before. */
const PART = 64;
/** Buffers that wait to be used again. */
const MAX_FREE = 8;

/** Buffers to read into, used again and again: fresh memory costs more than what is read into it. They get longer. */
export class ReadBuffers {
  #free: ArrayBuffer[] = [];
  #size = MIN_SIZE;
  #read = 0;

  take(): ArrayBuffer {
    if (this.#size < MAX_SIZE && this.#read >= 2 * PART * this.#size) {
      this.#size *= 2;
      this.#free = [];
    }
    this.#read += this.#size;
    return this.#free.pop() ?? new ArrayBuffer(this.#size);
  }

  /** @param buffer that nobody needs any more; one of another size is let go */
  give(buffer: ArrayBuffer): void {
    if (buffer.byteLength === this.#size && this.#free.length < MAX_FREE) this.#free.push(buffer);
  }
}

interface ByteRead {
  readonly done: boolean;
  readonly value?: Uint8Array<ArrayBuffer>;
}

/** A read that fills its buffer, unless the stream ends before; browsers that don't know the option fill it less. */
interface FillingReader {
  read(view: Uint8Array<ArrayBuffer>, options: { min: number }): Promise<ByteRead>;
}

/**
 * Held while they are read: Chromium takes a byte stream of a Blob for garbage, though a read of it is pending, when nothing but that read
 * leads to it, and the read never settles.
 */
const underWay = new Set<ReadableStreamBYOBReader>();

/**
 * Iterates over a byte stream in pieces of 512 KiB and later up to 2 MiB, each of which begins a buffer of its own, that the caller may give to `buffers`.
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
  const unlink = onAbort(signal, cancel);
  const ask = (): Promise<ByteRead> => {
    const view = new Uint8Array(buffers.take());
    const read = (reader as FillingReader).read(view, { min: view.length });
    // Awaited in its turn, if ever.
    read.catch(() => {});
    return read;
  };
  let finished = false;
  underWay.add(reader);
  try {
    signal?.throwIfAborted();
    let next = ask();
    for (;;) {
      const result = await next;
      // The browser reads on while this piece is worked on.
      if (!result.done) next = ask();
      signal?.throwIfAborted();
      if (result.value && result.value.length > 0) yield result.value;
      if (result.done) break;
    }
    finished = true;
  } finally {
    underWay.delete(reader);
    unlink();
    if (!finished) cancel();
    reader.releaseLock();
  }
}
