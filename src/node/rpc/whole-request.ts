import { setImmediate as turn } from "node:timers/promises";

/**
 * The messages of a client-streaming request, and an error if the client did not mean them to end here. HTTP/2 in Node ends a stream
 * in good order before it resets it, so that a client which gives up half way looks at first like one that has sent all; the reset
 * comes with the same packet, and is seen one turn of the event loop later.
 */
export async function* wholeRequest<T>(request: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  yield* request;
  await turn();
  signal.throwIfAborted();
}
