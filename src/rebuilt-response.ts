import { StoreError } from "./error.ts";

/**
 * A `Response` like one that `fetch` gave, with another body. A server can answer with a status from
 * 100 to 999, and `fetch` passes it on, but the constructor of `Response` takes 200 to 599 alone. A
 * refused body is cancelled, so that its connection ends.
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
    throw new StoreError("unavailable", `${url} answered with the status ${status}, which HTTP doesn't have`, { cause });
  }
}
