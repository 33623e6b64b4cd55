import { type ClientHttp2Stream, constants } from "node:http2";
import { connect } from "node:net";
import type { Transport } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { MAX_RESPONSE_MESSAGE } from "../wire/transport.ts";
import type { ServiceAddress } from "./addresses.ts";

/** Bytes that a peer may send ahead on one stream: the 64 KiB of HTTP/2 would make a round trip of each blob's piece. */
const WINDOW = 4 * 1024 * 1024;

export interface GrpcConnection {
  readonly transport: Transport;
  close(): Promise<void>;
}

/** gRPC over HTTP/2, with or without TLS, over TCP or a Unix socket. Connects when it is first used. */
export function connectGrpc(address: Extract<ServiceAddress, { scheme: `grpc+${string}` }>): GrpcConnection {
  const unix = address.scheme === "grpc+unix" ? address.path : undefined;
  const baseUrl = "url" in address ? address.url : "http://localhost";
  const sessionManager = new ResettingSessionManager(baseUrl, undefined, {
    settings: { initialWindowSize: WINDOW },
    ...(unix !== undefined && { createConnection: () => connect(unix) }),
  });
  const transport = createGrpcTransport({
    baseUrl,
    sessionManager,
    // Content is compressed at rest, or can't be.
    acceptCompression: [],
    readMaxBytes: MAX_RESPONSE_MESSAGE,
    writeMaxBytes: MAX_RESPONSE_MESSAGE,
  });
  return { transport, close: async () => sessionManager.abort() };
}

/**
 * Node's `close(code)` of a stream first ends the request, as if that had been all, and only then resets it: half an upload could pass
 * for the whole. `destroy()` resets it alone.
 */
class ResettingSessionManager extends Http2SessionManager {
  override async request(...args: Parameters<Http2SessionManager["request"]>): Promise<ClientHttp2Stream> {
    const stream = await super.request(...args);
    const close = stream.close.bind(stream);
    stream.close = (code?: number, callback?: () => void): void => {
      if (code === undefined || code === constants.NGHTTP2_NO_ERROR || stream.writableEnded) {
        close(code, callback);
        return;
      }
      if (callback) stream.once("close", callback);
      stream.destroy(new Error("the request was taken back"));
    };
    return stream;
  }
}
