import { type ClientHttp2Stream, constants } from "node:http2";
import { connect } from "node:net";
import type { Transport } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { MAX_RESPONSE_MESSAGE } from "../wire/transport.ts";

/**
 * HTTP/2 flow-control window of one stream, in bytes. The default of 64 KiB would cost a round trip
 * for each piece of a blob.
 */
const WINDOW = 4 * 1024 * 1024;

export type GrpcAddress =
  | { readonly scheme: "grpc+http" | "grpc+https"; readonly url: string }
  | { readonly scheme: "grpc+unix"; readonly path: string };

export interface GrpcConnection {
  readonly transport: Transport;
  close(): Promise<void>;
}

/**
 * Prepares a gRPC connection over HTTP/2, with or without TLS, over TCP or a Unix socket. It
 * connects on the first call.
 */
export function connectGrpc(address: GrpcAddress): GrpcConnection {
  const unix = address.scheme === "grpc+unix" ? address.path : undefined;
  const baseUrl = "url" in address ? address.url : "http://localhost";
  const sessionManager = new ResettingSessionManager(baseUrl, undefined, {
    settings: { initialWindowSize: WINDOW },
    ...(unix !== undefined && { createConnection: () => connect(unix) }),
  });
  const transport = createGrpcTransport({
    baseUrl,
    sessionManager,
    // The content is already compressed in storage, or can't be compressed.
    acceptCompression: [],
    readMaxBytes: MAX_RESPONSE_MESSAGE,
    writeMaxBytes: MAX_RESPONSE_MESSAGE,
  });
  return { transport, close: async () => sessionManager.abort() };
}

/**
 * Resets a cancelled request without ending it first. Node's `close(code)` of a stream first ends
 * the request as if it were complete, and then resets it. The server could take half an upload for
 * a whole one. `destroy()` only resets the stream.
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
      stream.destroy(new Error("the request was cancelled"));
    };
    return stream;
  }
}
