import { packError, type ThreadError, unpackError } from "./packed-error.ts";
import { receiveStream, sendStream } from "./port-stream.ts";

/** A page's own `fetch`, for the worker: one message a request over a port, bodies of answers as streams. */
interface FetchRequest {
  readonly url: string;
  readonly method: string;
  readonly headers: [string, string][];
  readonly body: Blob | Uint8Array<ArrayBuffer> | undefined;
  /** For the answer, and for `abort` while there is none. */
  readonly port: MessagePort;
}

type FetchAnswer =
  | {
      kind: "response";
      status: number;
      statusText: string;
      headers: [string, string][];
      url: string;
      body: MessagePort | undefined;
    }
  | { kind: "error"; error: ThreadError };

/** Statuses whose answers have no body, and for which the `Response` constructor allows none. */
const BODYLESS = new Set([204, 205, 304]);

/** The page's side: answers requests with `fetch` until the port is closed. */
export function serveFetch(port: MessagePort, fetch: typeof globalThis.fetch): void {
  port.onmessage = async ({ data: request }: MessageEvent<FetchRequest>) => {
    const controller = new AbortController();
    request.port.onmessage = () => controller.abort();
    try {
      const response = await fetch(request.url, {
        method: request.method,
        headers: request.headers,
        body: request.body ?? null,
        signal: controller.signal,
      });
      const { port1, port2 } = new MessageChannel();
      if (response.body) sendStream(port1, response.body);
      const answer: FetchAnswer = {
        kind: "response",
        status: response.status,
        statusText: response.statusText,
        headers: [...response.headers],
        url: response.url,
        body: response.body ? port2 : undefined,
      };
      request.port.postMessage(answer, response.body ? [port2] : []);
    } catch (error) {
      request.port.postMessage({ kind: "error", error: packError(error) } satisfies FetchAnswer);
    }
  };
}

/** The worker's side: a `fetch` that asks the page. */
export function fetchThrough(port: MessagePort): typeof globalThis.fetch {
  return async (input, init) => {
    const request = new Request(input, init && { ...init, body: null });
    const { body, signal } = init ?? {};
    signal?.throwIfAborted();
    const { port1, port2 } = new MessageChannel();
    const message: FetchRequest = {
      url: request.url,
      method: request.method,
      headers: [...request.headers],
      body:
        body instanceof Blob || body === undefined || body === null
          ? (body ?? undefined)
          : new Uint8Array(await new Response(body).arrayBuffer()),
      port: port2,
    };
    const onAbort = (): void => port1.postMessage("abort");
    signal?.addEventListener("abort", onAbort);
    try {
      const answer = await new Promise<FetchAnswer>((resolve) => {
        port1.onmessage = ({ data }: MessageEvent<FetchAnswer>) => resolve(data);
        port.postMessage(message, [port2]);
      });
      if (answer.kind === "error") throw signal?.aborted ? signal.reason : unpackError(answer.error);
      const stream = answer.body && !BODYLESS.has(answer.status) ? receiveStream<Uint8Array<ArrayBuffer>>(answer.body) : null;
      return new Response(stream, { status: answer.status, statusText: answer.statusText, headers: answer.headers });
    } finally {
      signal?.removeEventListener("abort", onAbort);
    }
  };
}
