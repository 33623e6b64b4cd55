import { StoreError } from "./error.ts";

/**
 * Copies a `Response` from `fetch`, but with another body. A server can answer with a status from
 * 100 to 999 and `fetch` accepts it, but the constructor of `Response` takes only 200 to 599. If
 * the constructor fails, the body is cancelled so that its connection ends.
 *
 * @throws StoreError `unavailable` for a status that the constructor refuses
 */
export function rebuiltResponse(
  url: string,
  body: ReadableStream<Uint8Array<ArrayBuffer>> | null,
  { status, statusText, headers }: { status: number; statusText: string; headers: Headers | [string, string][] },
): Response {
  try {
    return new Response(body, { status, statusText, headers });
  } catch (cause) {
    body?.cancel(cause).catch(() => {});
    throw new StoreError(
      "unavailable",
      `${url} answered with the status ${status}, which is not a final HTTP status (200 to 599)`,
      { cause },
    );
  }
}
