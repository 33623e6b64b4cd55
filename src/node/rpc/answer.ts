import { Code, type ConnectError, type HandlerContext } from "@connectrpc/connect";
import { Turn } from "../../turn.ts";
import { toConnectError } from "../../wire/status.ts";

/**
 * Wrappers for handlers: they convert a `StoreError` to the status code that goes over the wire.
 */

type Unary<I, O> = (request: I, context: HandlerContext) => Promise<O>;
type Streaming<I, O> = (request: I, context: HandlerContext) => AsyncGenerator<O>;

export function answer<I, O>(handle: Unary<I, O>): Unary<I, O> {
  return async (request, context) => {
    try {
      return await handle(request, context);
    } catch (error) {
      throw failure(error, context);
    }
  };
}

export function answerStream<I, O>(handle: Streaming<I, O>): Streaming<I, O> {
  return async function* (request, context) {
    const turn = new Turn(context.signal);
    try {
      for await (const message of handle(request, context)) {
        yield message;
        // If the client reads fast, writes never wait, so other requests would not run.
        await turn.pass();
      }
    } catch (error) {
      throw failure(error, context);
    }
  };
}

/**
 * Converts an error to a status. Internal errors and corrupt data are also logged, with all
 * details. Clients get the message of a `StoreError`. Of any other exception, they only learn that
 * it happened.
 */
function failure(error: unknown, { service, method, signal }: HandlerContext): ConnectError {
  const status = toConnectError(error);
  const isOurs = status.code === Code.Internal || status.code === Code.DataLoss;
  // If the client has closed the connection, errors are expected.
  if (isOurs && !signal.aborted) console.error(`${service.typeName}/${method.name}:`, error);
  return status;
}
