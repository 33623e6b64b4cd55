import { packError, type ThreadError, unpackError } from "./packed-error.ts";

/**
 * Streams between threads over a MessagePort, in every engine: not all can transfer a ReadableStream, and where they can, errors
 * lose their class on the way. The receiver asks for each piece, so that the sender never runs ahead by more than the window.
 */
type ToSender = "pull" | "cancel";
type ToReceiver<T> = { kind: "value"; value: T } | { kind: "done" } | { kind: "error"; error: ThreadError };

/** How many pieces may be on their way: enough to hide the time that a message takes. */
const WINDOW = 4;

/** Sends `source` through `port` as it is asked for. Bytes are copied before they are transferred, since they may be views. */
export function sendStream<T>(port: MessagePort, source: ReadableStream<T> | AsyncIterable<T>): void {
  const pieces = source instanceof ReadableStream ? piecesOf(source) : source[Symbol.asyncIterator]();
  let turn: Promise<void> = Promise.resolve();
  let finished = false;
  const finish = (message?: ToReceiver<T>): void => {
    finished = true;
    if (message) port.postMessage(message);
    port.close();
  };
  const next = async (): Promise<void> => {
    if (finished) return;
    try {
      const result = await pieces.next();
      if (finished) return;
      if (result.done) finish({ kind: "done" });
      else post(port, result.value);
    } catch (error) {
      if (!finished) finish({ kind: "error", error: packError(error) });
    }
  };
  port.onmessage = ({ data }: MessageEvent<ToSender>) => {
    if (data === "pull") turn = turn.then(next);
    else {
      finish();
      // Whatever the source says to that, nobody is there to hear it.
      pieces.return?.()?.catch(() => {});
    }
  };
}

/** Unlike a generator's, its `return` does not wait for a read that is under way: it ends it. */
function piecesOf<T>(stream: ReadableStream<T>): AsyncIterator<T, undefined> {
  const reader = stream.getReader();
  return {
    next: async () => {
      const { done, value } = await reader.read();
      return done ? { done, value: undefined } : { done, value };
    },
    return: async () => {
      await reader.cancel();
      return { done: true, value: undefined };
    },
  };
}

function post<T>(port: MessagePort, value: T): void {
  if (value instanceof Uint8Array) {
    const copy = value.slice();
    port.postMessage({ kind: "value", value: copy }, [copy.buffer]);
  } else {
    port.postMessage({ kind: "value", value });
  }
}

/**
 * The other end of `sendStream`.
 *
 * @param lost rejects when the sender's thread is gone, since a port does not tell
 */
export function receiveStream<T>(port: MessagePort, lost?: Promise<never>): ReadableStream<T> {
  let asked = 0;
  return new ReadableStream<T>(
    {
      start(controller) {
        port.onmessage = ({ data }: MessageEvent<ToReceiver<T>>) => {
          asked--;
          if (data.kind === "value") {
            controller.enqueue(data.value);
            return;
          }
          port.close();
          if (data.kind === "done") controller.close();
          else controller.error(unpackError(data.error));
        };
        lost?.catch((error) => {
          port.close();
          controller.error(error);
        });
      },
      pull(controller) {
        const wanted = Math.max(1, controller.desiredSize ?? 1);
        for (; asked < wanted; asked++) port.postMessage("pull" satisfies ToSender);
      },
      cancel() {
        port.postMessage("cancel" satisfies ToSender);
        port.close();
      },
    },
    { highWaterMark: WINDOW },
  );
}
