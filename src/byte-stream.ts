import { onAbort } from "./on-abort.ts";

/**
 * Initial and largest size of a read buffer, in bytes. It starts small so that work begins soon. It
 * grows because each buffer takes one message to a hash worker.
 */
const MIN_SIZE = 512 * 1024;
const MAX_SIZE = 2 * 1024 * 1024;
/** The buffer size doubles only as long as it stays within 1/64 of the bytes read so far. */
const PART = 64;
/** Maximum number of buffers kept for reuse. */
const MAX_FREE = 8;

/**
 * Pool of buffers to read into, which get longer over time. Buffers are reused because allocating
 * fresh memory costs more than reading the data.
 */
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

  /**
   * Returns a buffer that the caller no longer needs to the pool. The pool drops a buffer whose
   * size is out of date.
   */
  give(buffer: ArrayBuffer): void {
    if (buffer.byteLength === this.#size && this.#free.length < MAX_FREE) this.#free.push(buffer);
  }
}

interface ByteRead {
  readonly done: boolean;
  readonly value?: Uint8Array<ArrayBuffer>;
}

/**
 * Reader whose `min` option fills the whole buffer unless the stream ends. Browsers that don't know
 * the option may fill it only partly.
 */
interface FillingReader {
  read(view: Uint8Array<ArrayBuffer>, options: { min: number }): Promise<ByteRead>;
}

/**
 * Readers with a read in progress. The set keeps them alive: Chromium garbage-collects a Blob's
 * byte stream if only a pending read refers to it, and that read then never settles.
 */
const underWay = new Set<ReadableStreamBYOBReader>();

/**
 * Iterates over a byte stream in pieces of 512 KiB, later up to 2 MiB. Each piece starts at the
 * beginning of its own buffer, which the caller may return to `buffers`. Leaving the loop early or
 * aborting works as in `iterate`.
 *
 * @returns `undefined` if `stream` is not a byte stream
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
    // The stream is locked or is not a byte stream. The next reader reports which.
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
    // The loop below handles a failure, if it still awaits this read.
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
      // The browser reads the next piece while the caller works on this one.
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
