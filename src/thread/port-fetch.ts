import { StoreError } from "../error.ts";
import { rebuiltResponse } from "../rebuilt-response.ts";
import { untilAborted } from "../until-aborted.ts";
import { packError, type ThreadError, unpackError } from "./packed-error.ts";
import { receiveStream, sendStream } from "./port-stream.ts";

/**
 * Lets the worker use a page's own `fetch`. Each request is one message over a port; answer bodies
 * are streams.
 */
interface FetchRequest {
  readonly url: string;
  readonly method: string;
  readonly headers: [string, string][];
  readonly body: Blob | Uint8Array<ArrayBuffer> | undefined;
  /** Carries the answer, and `abort` from the worker as long as there is no answer. */
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

/** Statuses whose answers have no body. The `Response` constructor refuses a body for them. */
const BODYLESS = new Set([204, 205, 304]);

/**
 * Answers requests with `fetch`, on the page's side.
 *
 * @returns a function that ends it: running requests fail with `closed` and bodies are cancelled
 */
export function serveFetch(port: MessagePort, fetch: typeof globalThis.fetch): () => void {
  const stopped = new AbortController();
  port.onmessage = ({ data }: MessageEvent<FetchRequest>) => {
    void answer(data, fetch, stopped.signal);
  };
  return () => {
    port.close();
    stopped.abort(new StoreError("closed", "the operation that sent this request has ended"));
  };
}

/**
 * Sends exactly one answer. After an abort it doesn't wait for a `fetch` that ignores its signal.
 */
async function answer(request: FetchRequest, fetch: typeof globalThis.fetch, stopped: AbortSignal): Promise<void> {
  const asked = new AbortController();
  const signal = AbortSignal.any([asked.signal, stopped]);
  request.port.onmessage = () => asked.abort();
  try {
    const { url, method, headers } = request;
    const fetched = fetch(url, { method, headers, body: request.body ?? null, signal });
    fetched.then((late) => (signal.aborted ? late.body?.cancel() : undefined)).catch(() => {});
    const response = await untilAborted(fetched, signal);
    const { port1, port2 } = new MessageChannel();
    if (response.body) sendStream(port1, response.body, stopped);
    const message: FetchAnswer = {
      kind: "response",
      status: response.status,
      statusText: response.statusText,
      headers: [...response.headers],
      url: response.url,
      body: response.body ? port2 : undefined,
    };
    request.port.postMessage(message, response.body ? [port2] : []);
  } catch (error) {
    request.port.postMessage({ kind: "error", error: packError(error) } satisfies FetchAnswer);
  } finally {
    request.port.close();
  }
}

/**
 * Creates a `fetch` that asks the page, on the worker's side. Its signal works until the end of the
 * body.
 */
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
    const answered = new Promise<FetchAnswer>((resolve) => {
      port1.onmessage = ({ data }: MessageEvent<FetchAnswer>) => {
        port1.close();
        resolve(data);
      };
      port.postMessage(message, [port2]);
    });
    let answer: FetchAnswer;
    try {
      answer = await untilAborted(answered, signal);
    } catch (error) {
      port1.postMessage("abort");
      // An answer may be on its way already. Its body must then be cancelled.
      answered.then((late) => bodyOf(late)?.cancel()).catch(() => {});
      throw error;
    }
    if (answer.kind === "error") throw unpackError(answer.error);
    return rebuiltResponse(request.url, bodyOf(answer, signal), answer);
  };
}

function bodyOf(answer: FetchAnswer, signal?: AbortSignal | null): ReadableStream<Uint8Array<ArrayBuffer>> | null {
  if (answer.kind === "error" || !answer.body || BODYLESS.has(answer.status)) return null;
  return receiveStream(answer.body, { signal });
}
