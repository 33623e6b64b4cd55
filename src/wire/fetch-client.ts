import type { UniversalClientFn, UniversalClientRequest } from "@connectrpc/connect/protocol";

export interface FetchClientOptions {
  /** Stands in for the global `fetch`. */
  fetch?: typeof globalThis.fetch | undefined;
  /** Sent with every request. */
  headers?: Record<string, string> | undefined;
  /**
   * Sends requests of several messages as they come (`duplex: "half"`) instead of collecting them first. Only where the caller knows
   * that it works: browsers do it over HTTP/2 alone, and there is no way to ask beforehand.
   */
  streamRequests?: boolean | undefined;
}

/** Memory that a request may take before it is handed to a Blob, which a browser keeps on disk when it is large. */
const COLLECT_BYTES = 4 * 1024 * 1024;

/**
 * The HTTP client that Connect's transports run on here. A browser's `fetch` takes no stream as a body, so that a client-streaming
 * request is collected into one Blob and posted whole. The server can't tell the difference.
 */
export function createFetchClient(options: FetchClientOptions): UniversalClientFn {
  return async (request) => {
    // Forbidden or subject to a preflight's consent, depending on the browser; `X-User-Agent` says the same.
    request.header.delete("User-Agent");
    for (const [name, value] of Object.entries(options.headers ?? {})) request.header.set(name, value);
    const response = await (options.fetch ?? globalThis.fetch)(request.url, {
      method: request.method,
      headers: request.header,
      signal: request.signal ?? null,
      // A redirect would repeat the request elsewhere, which no server of these protocols asks for.
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

/** A Blob takes no shared memory. Envelopes never are in it, but their type does not say so. */
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
        // A generator that did not expect it throws what it is given.
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
