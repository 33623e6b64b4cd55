import { Code, ConnectError, createConnectRouter, createContextValues } from "@connectrpc/connect";
import { universalRequestFromNodeRequest, universalResponseToNodeResponse } from "@connectrpc/connect-node";
import { isStoreError, StoreError } from "../../error.ts";
import { Turn } from "../../turn.ts";
import { toConnectError } from "../../wire/status.ts";
import { ANYONE, CALLER, type Caller, checkPermission } from "../permissions.ts";
import { breakOff, ignoreRest, isComplete, type ServerAnswer, type ServerRequest, whenGone } from "../server-request.ts";
import { STALL_TIMEOUT, TRANSFER, Transfer, type TransferOptions, UPLOAD_MEMORY } from "../transfer.ts";
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

/** Bytes of a request that may wait in memory before it reserves some. */
const UNRESERVED = 256 * 1024;

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
  });
  routes(router, closing);
  const handlers = new Map(router.handlers.map((handler) => [handler.requestPath, handler]));

  return (request, answer) => {
    const handler = handlers.get(request.url?.split("?", 1)[0] ?? "");
    if (!handler) return refuseUnknownCall(request, answer);
    const transfer = new Transfer(() => breakOff(answer), limits);
    const gone = new AbortController();
    whenGone(request, answer, () => {
      gone.abort(new StoreError("unavailable", "the client has gone"));
      transfer.end();
    });
    const caller = authorize(request);
    const values = createContextValues().set(TRANSFER, transfer).set(CALLER, caller);
    let universal: ReturnType<typeof universalRequestFromNodeRequest>;
    try {
      universal = universalRequestFromNodeRequest(request, answer, undefined, values);
    } catch {
      // The Host header is missing, or no host.
      answer.writeHead(400);
      answer.end();
      request.resume();
      return true;
    }
    // A handler may stop early and still answer, so the request must not be destroyed.
    const received = transfer.received(request.iterator({ destroyOnReturn: false }));
    const type = request.headers["content-type"] ?? "";
    const bounded = /json/i.test(type) ? withBoundedDepth(received, !/^application\/json/i.test(type)) : received;
    const body = wholeBody(request, bounded, {
      permit: () => checkPermission(caller, handler.method),
      reserve: () => transfer.reserve(UPLOAD_MEMORY, gone.signal),
    });
    handler({ ...universal, body })
      .then(({ body, ...response }) => {
        const sent = body && transfer.sent(body);
        // If the client disconnects during a write, the library never ends `sent`.
        whenGone(request, answer, () => void sent?.return(undefined).catch(() => {}));
        return universalResponseToNodeResponse({ ...response, ...(sent && { body: sent }) }, answer);
      })
      // Handlers report their own errors in the answer. An error here means that the client has
      // gone, or a bug in a library. Neither can be reported to the client.
      .catch(() => answer.destroy())
      .finally(() => ignoreRest(request, STALL_TIMEOUT));
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

/**
 * Yields the request's body, and throws if it is incomplete.
 *
 * @param permit called before anything is read; throws a StoreError to refuse the request
 * @param reserve called once more than `UNRESERVED` bytes have arrived
 */
async function* wholeBody(
  request: ServerRequest,
  body: AsyncIterable<Uint8Array>,
  { permit, reserve }: { permit: () => void; reserve: () => Promise<void> },
): AsyncGenerator<Uint8Array> {
  let length = 0;
  const turn = new Turn();
  try {
    permit();
    for await (const bytes of body) {
      // Reading bytes that have already arrived never leaves the event loop, so other requests
      // would wait.
      await turn.pass();
      length += bytes.length;
      if (length > UNRESERVED) await reserve();
      yield bytes;
    }
  } catch (cause) {
    if (isStoreError(cause)) throw toConnectError(cause);
    throw new ConnectError("the client did not send the whole request", Code.Canceled, undefined, undefined, cause);
  }
  if (!isComplete(request)) throw new ConnectError("the client did not send the whole request", Code.Canceled);
}
