import type { RetryHint } from "../backoff.ts";
import { isStoreError, StoreError } from "../error.ts";
import { iterate } from "../stream.ts";

/**
 * Statuses that mean "there is no such file", also to Nix. Object stores answer 403 if listing is
 * forbidden.
 */
const MISSING: readonly number[] = [403, 404, 410];

const UNAUTHORIZED: readonly number[] = [401, 407];

/**
 * The 4xx statuses that are temporary, and the 5xx statuses that are permanent. Except for 425, Nix
 * decides in the same way.
 */
const PASSING: readonly number[] = [408, 425, 429];
const LASTING: readonly number[] = [501, 505, 511];

/** Statuses of an overloaded server. */
const BUSY: readonly number[] = [429, 503];

/** The server answered with a status other than success. */
class AnswerError extends StoreError {
  /** When to retry; `undefined` if the server would answer the same again. */
  readonly hint: RetryHint | undefined;

  constructor(url: string, { status, headers }: Response) {
    super(UNAUTHORIZED.includes(status) ? "denied" : "unavailable", `${url} answered with status ${status}`);
    const mayPass = PASSING.includes(status) || (status >= 500 && !LASTING.includes(status));
    if (mayPass) this.hint = { isBusy: BUSY.includes(status), atLeast: retryAfter(headers.get("retry-after")) };
  }
}

export function isMissing({ status }: Response): boolean {
  return MISSING.includes(status);
}

/** Returns the error for `response`: `denied` for 401 and 407, `unavailable` for other statuses. */
export function answerError(url: string, response: Response): StoreError {
  return new AnswerError(url, response);
}

/** Whether `error` is a status that the server would repeat. */
export function isLastingAnswer(error: unknown): boolean {
  return error instanceof AnswerError && error.hint === undefined;
}

/**
 * Returns when to retry a request that failed with `error`; `undefined` if a retry is pointless.
 */
export function retryHint(error: unknown): RetryHint | undefined {
  if (error instanceof AnswerError) return error.hint;
  return isStoreError(error, "unavailable") ? {} : undefined;
}

/** Returns milliseconds. The header is a number of seconds or an HTTP date (RFC 9110, 10.2.3). */
function retryAfter(value: string | null): number {
  if (value === null) return 0;
  if (/^[0-9]+$/.test(value)) return Number(value) * 1000;
  // The format of C's asctime has no time zone; it means GMT too.
  const isAsctime = /^[A-Z][a-z]{2} [A-Z][a-z]{2} .*[0-9]$/.test(value);
  const date = isAsctime ? Date.parse(`${value} GMT`) : / GMT$/.test(value) ? Date.parse(value) : Number.NaN;
  return Number.isNaN(date) ? 0 : Math.max(0, date - Date.now());
}

/** Whether the server declares that it serves ranges. CORS may hide the header. */
export function acceptsRanges({ headers }: Response): boolean {
  return headers.get("accept-ranges")?.toLowerCase() === "bytes";
}

/**
 * Returns the offset of the first byte of a partial response; `undefined` if the server does not
 * state it or CORS hides it.
 */
export function contentRangeStart({ headers }: Response): number | undefined {
  const [, start] = /^bytes ([0-9]+)-/.exec(headers.get("content-range") ?? "") ?? [];
  return start === undefined ? undefined : Number(start);
}

/** Returns the `ETag` if it is a strong one: only a strong tag promises the same bytes. */
export function strongTag({ headers }: Response): string | undefined {
  const tag = headers.get("etag");
  return tag === null || tag.startsWith("W/") ? undefined : tag;
}

/**
 * Returns the declared length of the body in bytes; `Infinity` if the server does not state it or
 * CORS hides it. If the body has a `Content-Encoding`, the number of bytes read differs.
 */
export function declaredLength({ headers }: Response): number {
  const length = headers.get("content-length") ?? "";
  return /^[0-9]+$/.test(length) ? Number(length) : Number.POSITIVE_INFINITY;
}

export async function* bodyOf({ body }: Response, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
  if (body) yield* iterate(body, signal);
}

/** Cancels a body that nobody reads. */
export async function discard({ body }: Response): Promise<void> {
  await body?.cancel().catch(() => {});
}
