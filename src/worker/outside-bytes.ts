import { isStoreError, StoreError } from "../error.ts";

/** A source of bytes from outside the library: a picked file, or a Blob or stream of the page. */
export interface OutsideSource {
  /** Name of the source in messages, for example `file "a/b"`. */
  readonly label: string;
  /** The file or Blob as it was picked; `undefined` for a stream. */
  readonly blob?: Blob | undefined;
}

/**
 * Yields all bytes of a source, and makes checks that browsers omit. If a browser checks at
 * all whether a picked file has changed, it does so only when it begins to read. Some browsers give
 * fewer or more bytes without an error.
 *
 * @param pieces all bytes of `source`
 * @throws StoreError `unavailable`, with a cause, if the source can't be read or has changed since
 *   it was picked. Some errors pass unchanged: a StoreError of the source, the reason of an aborted
 *   `signal`, and an `AbortError` or `TimeoutError` of a stream, which its owner may have aborted.
 */
export async function* outsideBytes<B extends Uint8Array>(
  pieces: AsyncIterable<B>,
  source: OutsideSource,
  signal?: AbortSignal | undefined,
): AsyncGenerator<B> {
  const { blob } = source;
  let loaded = 0;
  try {
    for await (const bytes of pieces) {
      loaded += bytes.length;
      if (blob && loaded > blob.size) throw wrongLength(source, "more");
      yield bytes;
    }
    if (!blob) return;
    if (loaded < blob.size) throw wrongLength(source, "fewer");
    // A new read makes the browser check the file again: it may have changed during the long read.
    await blob.slice(0, 1).arrayBuffer();
  } catch (error) {
    signal?.throwIfAborted();
    throw outsideError(source, error);
  }
}

/**
 * Turns an error of the platform into a StoreError `unavailable`. Returns an error unchanged if
 * `outsideBytes` lets it pass.
 */
export function outsideError({ label, blob }: OutsideSource, cause: unknown): unknown {
  if (isStoreError(cause)) return cause;
  const message = cause instanceof Error ? cause.message || cause.name : String(cause);
  if (blob) {
    const why = "it is gone, or it has changed since it was picked. Pick it again.";
    return new StoreError("unavailable", `${label} can't be read (${message}): ${why}`, { cause });
  }
  if (cause instanceof DOMException && (cause.name === "AbortError" || cause.name === "TimeoutError")) return cause;
  return new StoreError("unavailable", `${label} failed before its end: ${message}`, { cause });
}

function wrongLength({ label, blob }: OutsideSource, than: "more" | "fewer"): StoreError {
  const message = `${label} has changed since it was picked: it has ${than} than the ${blob?.size} bytes that it had. Pick it again.`;
  return new StoreError("unavailable", message);
}
