import type { IncomingMessage, ServerResponse } from "node:http";
import { constants, type Http2ServerRequest, type Http2ServerResponse } from "node:http2";

export type ServerRequest = IncomingMessage | Http2ServerRequest;
export type ServerAnswer = ServerResponse | Http2ServerResponse;

/**
 * Whether the client sent the whole body; call it at the end of the body. If a client cancels an
 * HTTP/2 request, Node ends the stream as if the body were complete. Half an upload would then pass
 * for a whole one.
 */
export function isComplete(request: ServerRequest): boolean {
  return "stream" in request ? !request.stream.aborted && request.stream.rstCode === 0 : request.complete;
}

/**
 * Resets the stream or connection, so that the client sees a failure even without a declared
 * length. Destroying an HTTP/2 answer would end it as if it were complete.
 */
export function breakOff(answer: ServerAnswer): void {
  if ("stream" in answer) answer.stream?.close(constants.NGHTTP2_INTERNAL_ERROR);
  else answer.destroy();
}
