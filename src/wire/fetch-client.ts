import type { UniversalClientFn, UniversalClientRequest } from "@connectrpc/connect/protocol";

export interface FetchClientOptions {
  /** Replaces the global `fetch`. */
  fetch?: typeof globalThis.fetch | undefined;
  /** HTTP headers for every request. */
  headers?: Record<string, string> | undefined;
  /**
   * Streams requests of several messages (`duplex: "half"`) instead of collecting them first. Set
   * it only if it is known to work: browsers support it only over HTTP/2, and offer no way to check
   * beforehand.
   */
  streamRequests?: boolean | undefined;
}

/**
 * Bytes of a request to collect in memory before they go into a Blob. A browser keeps large Blobs
 * on disk.
 */
const COLLECT_BYTES = 4 * 1024 * 1024;

/**
 * Creates the HTTP client for Connect's transports. A browser's `fetch` accepts no stream as a
 * request body, so this client collects a client-streaming request into one Blob and posts it
 * whole. The server can't tell the difference.
 */
export function createFetchClient(options: FetchClientOptions): UniversalClientFn {
  return async (request) => {
    // Some browsers forbid `User-Agent`, others need a preflight's consent. `X-User-Agent` says the
    // same.
    request.header.delete("User-Agent");
    for (const [name, value] of Object.entries(options.headers ?? {})) request.header.set(name, value);
    const response = await (options.fetch ?? globalThis.fetch)(request.url, {
      method: request.method,
      headers: request.header,
      signal: request.signal ?? null,
      // Following a redirect would repeat the request elsewhere. No server of these protocols
      // redirects.
      redirect: "error",
      ...(options.streamRequests ? streamedBody(request) : await collectedBody(request)),
    });
    return { status: response.status, header: response.headers, body: readBody(response), trailer: new Headers() };
  };
}

async function collectedBody({ body, signal }: UniversalClientRequest): Promise<RequestInit> {
  if (!body) return {};
  const blobs: Blob[] = [];
  let pieces: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  for await (const piece of body) {
    signal?.throwIfAborted();
    pieces.push(ownPiece(piece));
    size += piece.length;
    if (size < COLLECT_BYTES) continue;
    blobs.push(new Blob(pieces));
    pieces = [];
    size = 0;
  }
  signal?.throwIfAborted();
  return { body: blobs.length > 0 || pieces.length > 1 ? new Blob([...blobs, ...pieces]) : (pieces[0] ?? null) };
}

/**
 * Copies a piece in shared memory, which a Blob refuses. Envelopes never are in shared memory, but
 * their type allows it.
 */
function ownPiece(piece: Uint8Array): Uint8Array<ArrayBuffer> {
  return piece.buffer instanceof ArrayBuffer ? (piece as Uint8Array<ArrayBuffer>) : piece.slice();
}

function streamedBody({ body }: UniversalClientRequest): RequestInit & { duplex?: "half" } {
  const iterator = body?.[Symbol.asyncIterator]();
  if (!iterator) return {};
  return {
    duplex: "half",
    body: new ReadableStream<Uint8Array>({
      async pull(controller) {
        const next = await iterator.next();
        if (next.done) controller.close();
        else controller.enqueue(next.value);
      },
      async cancel(reason) {
        // A generator without a handler throws the reason back.
        await iterator.throw?.(reason).catch(() => {});
      },
    }),
  };
}

async function* readBody(response: Response): AsyncGenerator<Uint8Array> {
  if (!response.body) return;
  const reader = response.body.getReader();
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value;
  } finally {
    await reader.cancel().catch(() => {});
  }
}
