import { isStoreError, StoreError } from "../error.ts";

/** Where bytes from outside of the library come from: a picked file, a Blob or a stream of the page. */
export interface OutsideSource {
  /** Names the source in messages: `file "a/b"`. */
  readonly label: string;
  /** The file or Blob as it was picked; `undefined` for a stream. */
  readonly blob?: Blob | undefined;
}

/**
 * Passes on `pieces`, all bytes of a source, and checks what the platform doesn't. Browsers look whether a file has changed since it
 * was picked when they begin to read it, if at all: some give fewer bytes or more, without an error.
 *
 * @throws StoreError `unavailable`, with the cause, if the source can't be read, or has changed since it was picked. A StoreError of
 *   the source, and the reason of an aborted `signal`, come out as they are; of a stream, an `AbortError` or `TimeoutError` too, as its
 *   owner may have aborted it
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
    // A new read makes the browser look again: the file may have changed under the long one.
    await blob.slice(0, 1).arrayBuffer();
  } catch (error) {
    signal?.throwIfAborted();
    throw outsideError(source, error);
  }
}

/** The StoreError `unavailable` for an error of the platform. Errors that `outsideBytes` lets through stay as they are. */
export function outsideError({ label, blob }: OutsideSource, cause: unknown): unknown {
  if (isStoreError(cause)) return cause;
  const message = cause instanceof Error ? cause.message || cause.name : String(cause);
  if (blob) {
    const why = "it is gone, or it has changed since it was picked. Pick it again.";
    return new StoreError("unavailable", `${label} can't be read (${message}): ${why}`, { cause });
  }
  if (cause instanceof DOMException && (cause.name === "AbortError" || cause.name === "TimeoutError")) return cause;
  return new StoreError("unavailable", `${label} broke off: ${message}`, { cause });
}

function wrongLength({ label, blob }: OutsideSource, than: "more" | "fewer"): StoreError {
  const message = `${label} has changed since it was picked: it has ${than} than the ${blob?.size} bytes that it had. Pick it again.`;
  return new StoreError("unavailable", message);
}
