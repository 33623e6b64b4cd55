import { Code, ConnectError, createConnectRouter, createContextValues } from "@connectrpc/connect";
import { universalRequestFromNodeRequest, universalResponseToNodeResponse } from "@connectrpc/connect-node";
import { isStoreError } from "../../error.ts";
import { Turn } from "../../turn.ts";
import { toConnectError } from "../../wire/status.ts";
import { ANYONE, CALLER, type Caller, checkPermission } from "../permissions.ts";
import { breakOff, isComplete, type ServerAnswer, type ServerRequest } from "../server-request.ts";
import { TRANSFER, Transfer, type TransferOptions } from "../transfer.ts";
import { withBoundedDepth } from "./json-depth.ts";
import type { Routes } from "./routes.ts";

/**
 * Maximum size of a request message, in bytes. Stock gRPC servers accept 4 MiB. JSON needs more:
 * base64 adds a third, and small fields take more space. The size of a directory is checked after
 * it is decoded.
 */
const MAX_REQUEST_MESSAGE = 8 * 1024 * 1024;

export interface RpcListenerOptions {
  /** Time limit for stalled clients, and memory budget of all requests. */
  transfer?: TransferOptions | undefined;
  /** Returns the caller of a request. By default, every caller may read and write. */
  authorize?: ((request: ServerRequest) => Caller) | undefined;
}

/**
 * Serves gRPC, gRPC-Web and Connect from Node's HTTP/1 and HTTP/2 servers. The function returns
 * whether the request was such a call. It doesn't touch other requests.
 */
export function createRpcListener(
  routes: Routes,
  closing: AbortSignal,
  { transfer: limits, authorize = () => ANYONE }: RpcListenerOptions = {},
): (request: ServerRequest, answer: ServerAnswer) => boolean {
  const router = createConnectRouter({
    // Most of the traffic is blob content. To compress it for a local page would cost more than it
    // saves.
    acceptCompression: [],
    readMaxBytes: MAX_REQUEST_MESSAGE,
    interceptors: [checkPermission],
  });
  routes(router, closing);
  const handlers = new Map(router.handlers.map((handler) => [handler.requestPath, handler]));

  return (request, answer) => {
    const handler = handlers.get(request.url?.split("?", 1)[0] ?? "");
    if (!handler) return refuseUnknownCall(request, answer);
    const transfer = new Transfer(() => breakOff(answer), limits);
    answer.once("close", () => transfer.end());
    const values = createContextValues().set(TRANSFER, transfer).set(CALLER, authorize(request));
    const universal = universalRequestFromNodeRequest(request, answer, undefined, values);
    const received = transfer.received(universal.body as AsyncIterable<Uint8Array>);
    const type = request.headers["content-type"] ?? "";
    const bounded = /json/i.test(type) ? withBoundedDepth(received, !/^application\/json/i.test(type)) : received;
    handler({ ...universal, body: wholeBody(request, bounded) })
      .then(({ body, ...response }) => {
        const sent = body && transfer.sent(body);
        // If the client disconnects during a write, the library never ends `sent`.
        answer.once("close", () => void sent?.return(undefined));
        return universalResponseToNodeResponse({ ...response, ...(sent && { body: sent }) }, answer);
      })
      // Handlers report their own errors in the answer. An error here means that the client has
      // gone, or a bug in a library. Neither can be reported to the client.
      .catch(() => answer.destroy());
    return true;
  };
}

/** Answers an unknown gRPC call with a status: gRPC clients don't understand a 404 page. */
function refuseUnknownCall(request: ServerRequest, answer: ServerAnswer): boolean {
  const type = request.headers["content-type"] ?? "";
  if (!type.startsWith("application/grpc")) return false;
  const headers = { "content-type": type, "grpc-status": String(Code.Unimplemented), "grpc-message": "no such method" };
  for (const [name, value] of Object.entries(headers)) answer.setHeader(name, value);
  answer.writeHead(200);
  answer.end();
  request.resume();
  return true;
}

/** Yields the request's body, and throws if it is incomplete. */
async function* wholeBody(request: ServerRequest, body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const turn = new Turn();
  try {
    for await (const bytes of body) {
      // Reading bytes that have already arrived never leaves the event loop, so other requests
      // would wait.
      await turn.pass();
      yield bytes;
    }
  } catch (cause) {
    if (isStoreError(cause)) throw toConnectError(cause);
    throw new ConnectError("the client did not send the whole request", Code.Canceled, undefined, undefined, cause);
  }
  if (!isComplete(request)) throw new ConnectError("the client did not send the whole request", Code.Canceled);
}
