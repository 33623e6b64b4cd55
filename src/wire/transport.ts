import type { Transport } from "@connectrpc/connect";
import type { CommonTransportOptions } from "@connectrpc/connect/protocol";
import { createTransport as createConnectProtocol } from "@connectrpc/connect/protocol-connect";
import { createTransport as createGrpcWebProtocol } from "@connectrpc/connect/protocol-grpc-web";
import { createFetchClient, type FetchClientOptions } from "./fetch-client.ts";

export interface BrowserTransportOptions extends FetchClientOptions {
  /** URL of the server, for example `http://localhost:8000`. */
  baseUrl: string;
  protocol: "connect" | "grpc-web";
}

/**
 * Maximum size of a message from a server, in bytes. Stock peers send at most 4 MiB, but the chunk
 * list of a large blob is one message and may be longer.
 */
export const MAX_RESPONSE_MESSAGE = 16 * 1024 * 1024;

/**
 * Creates a transport for a page or a worker, and for Node over HTTP/1.1. Unlike connect-web's own
 * transport it supports client-streaming calls and limits the size of messages.
 */
export function createBrowserTransport(options: BrowserTransportOptions): Transport {
  const common: CommonTransportOptions = {
    baseUrl: options.baseUrl,
    httpClient: createFetchClient(options),
    useBinaryFormat: true,
    interceptors: [],
    // Content is compressed at rest or not compressible. Besides, pages can't decode brotli or
    // zstd.
    acceptCompression: [],
    sendCompression: null,
    compressMinBytes: 1024,
    readMaxBytes: MAX_RESPONSE_MESSAGE,
    writeMaxBytes: MAX_RESPONSE_MESSAGE,
  };
  return options.protocol === "connect" ? createConnectProtocol(common) : createGrpcWebProtocol(common);
}
