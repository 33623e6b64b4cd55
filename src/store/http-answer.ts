import type { RetryHint } from "../backoff.ts";
import { isStoreError, StoreError } from "../error.ts";
import { iterate } from "../stream.ts";

/**
 * Statuses that mean "there is no such file", to Nix too: object stores say 403 where nobody may
 * list them.
 */
const MISSING: readonly number[] = [403, 404, 410];

const UNAUTHORIZED: readonly number[] = [401, 407];

/**
 * Statuses of the client's side that may pass, and of the server's side that don't. Nix decides
 * likewise, except for 425.
 */
const PASSING: readonly number[] = [408, 425, 429];
const LASTING: readonly number[] = [501, 505, 511];

/** Statuses of a server that has too much to do. */
const BUSY: readonly number[] = [429, 503];

/** An answer that is not the file. */
class AnswerError extends StoreError {
  /** `undefined` if it would be the same next time. */
  readonly hint: RetryHint | undefined;

  constructor(url: string, { status, headers }: Response) {
    super(UNAUTHORIZED.includes(status) ? "denied" : "unavailable", `${url} answers ${status}`);
    const mayPass = PASSING.includes(status) || (status >= 500 && !LASTING.includes(status));
    if (mayPass) this.hint = { isBusy: BUSY.includes(status), atLeast: retryAfter(headers.get("retry-after")) };
  }
}

export function isMissing({ status }: Response): boolean {
  return MISSING.includes(status);
}

/** The failure that `response` means: `denied` for 401 and 407, else `unavailable`. */
export function answerError(url: string, response: Response): StoreError {
  return new AnswerError(url, response);
}

/** Whether `error` is a status that the server would repeat. */
export function isLastingAnswer(error: unknown): boolean {
  return error instanceof AnswerError && error.hint === undefined;
}

/** When a request that failed with `error` is worth another try; `undefined` if it isn't. */
export function retryHint(error: unknown): RetryHint | undefined {
  if (error instanceof AnswerError) return error.hint;
  return isStoreError(error, "unavailable") ? {} : undefined;
}

/** Milliseconds, of a number of seconds or an HTTP date (RFC 9110, 10.2.3). */
function retryAfter(value: string | null): number {
  if (value === null) return 0;
  if (/^[0-9]+$/.test(value)) return Number(value) * 1000;
  // The form of C's asctime has no zone, and means GMT too.
  const isAsctime = /^[A-Z][a-z]{2} [A-Z][a-z]{2} .*[0-9]$/.test(value);
  const date = isAsctime ? Date.parse(`${value} GMT`) : / GMT$/.test(value) ? Date.parse(value) : Number.NaN;
  return Number.isNaN(date) ? 0 : Math.max(0, date - Date.now());
}

/** Whether the server says so; CORS may hide it. */
export function acceptsRanges({ headers }: Response): boolean {
  return headers.get("accept-ranges")?.toLowerCase() === "bytes";
}

/** The first byte of a part; `undefined` if the server, or CORS, doesn't tell. */
export function contentRangeStart({ headers }: Response): number | undefined {
  const [, start] = /^bytes ([0-9]+)-/.exec(headers.get("content-range") ?? "") ?? [];
  return start === undefined ? undefined : Number(start);
}

/** The `ETag` that promises the same bytes; a weak one doesn't. */
export function strongTag({ headers }: Response): string | undefined {
  const tag = headers.get("etag");
  return tag === null || tag.startsWith("W/") ? undefined : tag;
}

/**
 * Bytes of the body, as the server declares them; `Infinity` if it, or CORS, doesn't tell. Those of
 * an encoded body are not what is read.
 */
export function declaredLength({ headers }: Response): number {
  const length = headers.get("content-length") ?? "";
  return /^[0-9]+$/.test(length) ? Number(length) : Number.POSITIVE_INFINITY;
}

export async function* bodyOf({ body }: Response, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
  if (body) yield* iterate(body, signal);
}

/** Ends an answer whose body nobody reads. */
export async function discard({ body }: Response): Promise<void> {
  await body?.cancel().catch(() => {});
}
