import type { IncomingMessage, ServerResponse } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import { Code, ConnectError, createConnectRouter } from "@connectrpc/connect";
import type { UniversalServerRequest } from "@connectrpc/connect/protocol";
import { universalRequestFromNodeRequest, universalResponseToNodeResponse } from "@connectrpc/connect-node";
import type { Routes } from "./routes.ts";

export type ServerRequest = IncomingMessage | Http2ServerRequest;
export type ServerAnswer = ServerResponse | Http2ServerResponse;

/**
 * A request message may have 4 MiB, as with stock gRPC servers, but more when it is written as JSON: base64 makes a third more of it,
 * and small fields swell. What a Directory may have at most is checked after it was decoded.
 */
const MAX_REQUEST_MESSAGE = 8 * 1024 * 1024;

/**
 * Serves gRPC, gRPC-Web and Connect from Node's HTTP servers of either version. The function answers whether the request was one of
 * these calls; if it wasn't, it was left alone.
 */
export function createRpcListener(routes: Routes, closing: AbortSignal): (request: ServerRequest, answer: ServerAnswer) => boolean {
  const router = createConnectRouter({
    // Blob content is the bulk of what travels, and compressing it costs more than it gains on the way to a local page.
    acceptCompression: [],
    readMaxBytes: MAX_REQUEST_MESSAGE,
  });
  routes(router, closing);
  const handlers = new Map(router.handlers.map((handler) => [handler.requestPath, handler]));

  return (request, answer) => {
    const handler = handlers.get(request.url?.split("?", 1)[0] ?? "");
    if (!handler) return refuseUnknownCall(request, answer);
    const universal = universalRequestFromNodeRequest(request, answer, undefined, undefined);
    handler({ ...universal, body: wholeBody(request, universal.body) })
      .then((response) => universalResponseToNodeResponse(response, answer))
      // What went wrong inside the call is in its answer. This is a client that is gone, or a defect below; neither can be told.
      .catch(() => answer.destroy());
    return true;
  };
}

/** gRPC clients expect a status, not a page that says 404. */
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
 * The request's body, which rejects if it was not sent to its end. Node ends the stream of an HTTP/2 request that the client took back
 * as if that had been all, and half of an upload would pass for the whole.
 */
async function* wholeBody(request: ServerRequest, body: UniversalServerRequest["body"]): AsyncGenerator<Uint8Array> {
  try {
    yield* body as AsyncIterable<Uint8Array>;
  } catch (cause) {
    throw new ConnectError("the request broke off", Code.Canceled, undefined, undefined, cause);
  }
  const broken = "stream" in request ? request.stream.aborted || request.stream.rstCode !== 0 : !request.complete;
  if (broken) throw new ConnectError("the request broke off", Code.Canceled);
}
