import type { IncomingMessage, ServerResponse } from "node:http";
import { constants, type Http2ServerRequest, type Http2ServerResponse } from "node:http2";
import type { Socket } from "node:net";

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

/** What to call when a connection closes. One listener for each connection is enough. */
const onSocketClose = new WeakMap<Socket, Set<() => void>>();

/**
 * Calls `gone` once: when the answer was sent, or when the client has gone. If a client sends
 * several requests over HTTP/1 and closes the connection, Node emits `close` only for the first
 * answer.
 */
export function whenGone(request: ServerRequest, answer: ServerAnswer, gone: () => void): void {
  const { socket } = request;
  const listeners = "stream" in request ? undefined : (onSocketClose.get(socket) ?? watchSocket(socket));
  const once = (): void => {
    answer.off("close", once);
    listeners?.delete(once);
    gone();
  };
  answer.once("close", once);
  listeners?.add(once);
}

function watchSocket(socket: Socket): Set<() => void> {
  const listeners = new Set<() => void>();
  onSocketClose.set(socket, listeners);
  socket.once("close", () => {
    for (const listener of [...listeners]) listener();
  });
  return listeners;
}

/**
 * Resets the stream or connection, so that the client sees a failure even without a declared
 * length. Destroying an HTTP/2 answer would end it as if it were complete.
 */
export function breakOff(answer: ServerAnswer): void {
  if ("stream" in answer) answer.stream?.close(constants.NGHTTP2_INTERNAL_ERROR);
  else answer.destroy();
}

/** Maximum number of body bytes that are read and ignored after the answer was sent. */
const MAX_IGNORED = 256 * 1024 * 1024;

/**
 * Reads and ignores the rest of the body, up to 256 MiB and for a limited time: many clients read
 * the answer only after they have sent everything.
 *
 * @param timeout in milliseconds
 */
export function ignoreRest(request: ServerRequest, timeout: number): void {
  if (request.destroyed || request.readableEnded) return;
  const stop = (): void => {
    // If the HTTP/2 request were destroyed, the client would wait forever for flow-control window.
    if ("stream" in request) request.stream.close(constants.NGHTTP2_NO_ERROR);
    else request.destroy();
  };
  const timer = setTimeout(stop, timeout).unref();
  let length = 0;
  request.on("data", (piece: Uint8Array) => {
    length += piece.length;
    if (length > MAX_IGNORED) stop();
  });
  for (const event of ["end", "close"]) request.once(event, () => clearTimeout(timer));
}
