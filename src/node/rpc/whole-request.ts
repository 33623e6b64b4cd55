import { setImmediate as turn } from "node:timers/promises";

/**
 * Yields the messages of a client-streaming request, and throws if the client cancelled it. Node's
 * HTTP/2 first ends the stream normally and then resets it, so a cancelled request looks complete
 * at first. The reset comes in the same packet and is visible one turn of the event loop later.
 */
export async function* wholeRequest<T>(request: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  yield* request;
  await turn();
  signal.throwIfAborted();
}
