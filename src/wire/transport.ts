import type { Transport } from "@connectrpc/connect";
import type { CommonTransportOptions } from "@connectrpc/connect/protocol";
import { createTransport as createConnectProtocol } from "@connectrpc/connect/protocol-connect";
import { createTransport as createGrpcWebProtocol } from "@connectrpc/connect/protocol-grpc-web";
import { createFetchClient, type FetchClientOptions } from "./fetch-client.ts";

export interface BrowserTransportOptions extends FetchClientOptions {
  /** Of the server, for example `http://localhost:8000`. */
  baseUrl: string;
  protocol: "connect" | "grpc-web";
}

/**
 * The largest message that is taken from a server. Past the 4 MiB that stock peers send at most, because a list of the chunks of a
 * large blob, which is one message, may well be longer.
 */
export const MAX_RESPONSE_MESSAGE = 16 * 1024 * 1024;

/**
 * A transport for a page or a worker, and for Node over HTTP/1.1. Unlike connect-web's own it does client-streaming calls, and does
 * not take messages of any size.
 */
export function createBrowserTransport(options: BrowserTransportOptions): Transport {
  const common: CommonTransportOptions = {
    baseUrl: options.baseUrl,
    httpClient: createFetchClient(options),
    useBinaryFormat: true,
    interceptors: [],
    // Content is compressed at rest or not compressible, and pages lack brotli and zstd anyway.
    acceptCompression: [],
    sendCompression: null,
    compressMinBytes: 1024,
    readMaxBytes: MAX_RESPONSE_MESSAGE,
    writeMaxBytes: MAX_RESPONSE_MESSAGE,
  };
  return options.protocol === "connect" ? createConnectProtocol(common) : createGrpcWebProtocol(common);
}
