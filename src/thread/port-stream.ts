import { onAbort } from "../on-abort.ts";
import { packError, type ThreadError, unpackError } from "./packed-error.ts";

/**
 * Streams between threads over a MessagePort, in every engine. Some engines can't transfer a
 * ReadableStream; in the others, errors lose their class on the way. The receiver asks for each
 * piece, so the sender never runs ahead by more than the window.
 */
type ToSender = "pull" | "cancel";
type ToReceiver<T> = { kind: "value"; value: T } | { kind: "done" } | { kind: "error"; error: ThreadError };

/** Maximum number of pieces in flight: enough to hide the latency of a message. */
const WINDOW = 4;

/**
 * Sends `source` through `port` as the receiver asks for it. Bytes may be views, so they are copied
 * before the transfer, except those of a byte stream.
 *
 * @param signal an abort cancels `source`, and the receiver's stream errors with the reason. It is
 *   needed because a port doesn't report that the thread behind it is gone
 */
export function sendStream<T>(port: MessagePort, source: ReadableStream<T> | AsyncIterable<T>, signal?: AbortSignal): void {
  const isStream = source instanceof ReadableStream;
  // Nobody else refers to the buffers of a byte stream or of `Gathered`.
  const isOurs = isStream ? isByteStream(source) : source instanceof Gathered;
  const pieces = isStream ? piecesOf(source) : source[Symbol.asyncIterator]();
  let turn: Promise<void> = Promise.resolve();
  let finished = false;
  let unlink = (): void => {};
  const finish = (message?: ToReceiver<T>): void => {
    finished = true;
    unlink();
    if (message) port.postMessage(message);
    port.close();
  };
  const leave = (message?: ToReceiver<T>): void => {
    if (finished) return;
    finish(message);
    // Ignore a failure of the source here: nobody is left to receive it.
    pieces.return?.(signal?.reason)?.catch(() => {});
  };
  const next = async (): Promise<void> => {
    if (finished) return;
    try {
      const result = await pieces.next();
      if (finished) return;
      if (result.done) finish({ kind: "done" });
      else post(port, result.value, isOurs);
    } catch (error) {
      if (!finished) finish({ kind: "error", error: packError(error) });
    }
  };
  port.onmessage = ({ data }: MessageEvent<ToSender>) => {
    if (data === "pull") turn = turn.then(next);
    else leave();
  };
  unlink = onAbort(signal, () => leave({ kind: "error", error: packError(signal?.reason) }));
}

/**
 * Iterates over a stream. Unlike a generator's `return`, this `return` takes the reason, and ends a
 * pending read instead of waiting for it.
 */
function piecesOf<T>(stream: ReadableStream<T>): AsyncIterator<T, undefined> {
  const reader = stream.getReader();
  return {
    next: async () => {
      const { done, value } = await reader.read();
      if (!done) return { done, value };
      reader.releaseLock();
      return { done, value: undefined };
    },
    return: async (reason?: unknown) => {
      const cancelled = reader.cancel(reason);
      reader.releaseLock();
      await cancelled;
      return { done: true, value: undefined };
    },
  };
}

/** Bytes in one message. Each message occupies both threads for a turn. */
const GATHERED = 256 * 1024;

/**
 * Collects small pieces of bytes into pieces large enough for a message, in buffers that may be
 * transferred.
 */
export class Gathered implements AsyncIterable<Uint8Array<ArrayBuffer>> {
  readonly #source: AsyncIterable<Uint8Array>;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    let buffer = new Uint8Array(GATHERED);
    let length = 0;
    for await (const bytes of this.#source) {
      for (let at = 0; at < bytes.length; ) {
        const part = bytes.subarray(at, at + GATHERED - length);
        buffer.set(part, length);
        length += part.length;
        at += part.length;
        if (length < GATHERED) continue;
        yield buffer;
        buffer = new Uint8Array(GATHERED);
        length = 0;
      }
    }
    if (length > 0) yield buffer.slice(0, length);
  }
}

function isByteStream(stream: ReadableStream): boolean {
  try {
    stream.getReader({ mode: "byob" }).releaseLock();
    return true;
  } catch {
    return false;
  }
}

/** @param isOurs whether the buffer may be transferred instead of copied */
function post<T>(port: MessagePort, value: T, isOurs: boolean): void {
  if (value instanceof Uint8Array && isOurs && value.buffer instanceof ArrayBuffer) {
    port.postMessage({ kind: "value", value }, [value.buffer]);
  } else if (value instanceof Uint8Array) {
    const copy = value.slice();
    port.postMessage({ kind: "value", value: copy }, [copy.buffer]);
  } else {
    port.postMessage({ kind: "value", value });
  }
}

export interface ReceiveOptions {
  /** An abort errors the stream with the reason, and tells the sender to stop. */
  signal?: AbortSignal | null | undefined;
  /**
   * Aborts the stream in the same way if the sender's thread is gone, which a port doesn't report.
   */
  lost?: AbortSignal | undefined;
  /**
   * The call that carried the port to the sender. If it rejects, there is no sender, and the stream
   * errors.
   */
  started?: Promise<unknown> | undefined;
}

/** Receives the stream that `sendStream` sends through the other end of the port. */
export function receiveStream<T>(port: MessagePort, { signal, lost, started }: ReceiveOptions = {}): ReadableStream<T> {
  let asked = 0;
  let finished = false;
  const unlinks: (() => void)[] = [];
  const finish = (message?: ToSender): void => {
    finished = true;
    for (const unlink of unlinks) unlink();
    if (message) port.postMessage(message);
    port.close();
  };
  return new ReadableStream<T>(
    {
      start(controller) {
        const fail = (reason: unknown): void => {
          if (finished) return;
          finish("cancel");
          controller.error(reason);
        };
        port.onmessage = ({ data }: MessageEvent<ToReceiver<T>>) => {
          if (finished) return;
          asked--;
          if (data.kind === "value") {
            controller.enqueue(data.value);
            return;
          }
          finish();
          if (data.kind === "done") controller.close();
          else controller.error(unpackError(data.error));
        };
        for (const each of [signal, lost]) {
          if (!finished) unlinks.push(onAbort(each, () => fail(each?.reason)));
        }
        started?.catch(fail);
      },
      pull(controller) {
        const wanted = Math.max(1, controller.desiredSize ?? 1);
        for (; asked < wanted; asked++) port.postMessage("pull" satisfies ToSender);
      },
      cancel() {
        finish("cancel");
      },
    },
    { highWaterMark: WINDOW },
  );
}
