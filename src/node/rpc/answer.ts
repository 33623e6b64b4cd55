import { Code, type ConnectError, type HandlerContext } from "@connectrpc/connect";
import { toConnectError } from "../../wire/status.ts";

/** Handlers throw `StoreError`s; these two give them the status code that goes over the wire. */

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
    try {
      yield* handle(request, context);
    } catch (error) {
      throw failure(error, context);
    }
  };
}

/** Clients are told nothing of defects but that there is one, and of corrupt data no more than the digest: the rest is for the log. */
function failure(error: unknown, { service, method, signal }: HandlerContext): ConnectError {
  const status = toConnectError(error);
  const isOurs = status.code === Code.Internal || status.code === Code.DataLoss;
  // When the client is gone, whatever broke the connection is its own matter.
  if (isOurs && !signal.aborted) console.error(`${service.typeName}/${method.name}:`, error);
  return status;
}
