import { Backoff, pause, type RetryPolicy } from "../backoff.ts";
import { concatBytes, decodeUtf8Strict } from "../bytes.ts";
import { StoreError } from "../error.ts";
import type { Timeouts } from "../timeouts.ts";
import { watchedFetch } from "../watched-fetch.ts";
import {
  acceptsRanges,
  answerError,
  bodyOf,
  contentRangeStart,
  declaredLength,
  discard,
  isLastingAnswer,
  isMissing,
  retryHint,
  strongTag,
} from "./http-answer.ts";

export interface CacheFilesOptions {
  /** Stands in for the platform's. */
  readonly fetch?: typeof globalThis.fetch | undefined;
  /** Sent with each request. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly timeouts?: Timeouts | undefined;
  readonly retry?: RetryPolicy | undefined;
}

export interface RequestOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called before each request that repeats one that failed. */
  readonly onRetry?: (() => void) | undefined;
}

export interface TextOptions extends RequestOptions {
  /** Decodes a body that the platform may not have decoded. */
  readonly decode?: ((bytes: AsyncIterable<Uint8Array>, signal: AbortSignal | undefined) => AsyncIterable<Uint8Array>) | undefined;
}

export interface StreamOptions extends RequestOptions {
  /**
   * Bytes of the file, if they are known: a body that ends earlier may have been broken off by a
   * proxy.
   */
  readonly size?: number | undefined;
  /** Called when the file is put together from several answers, and no strong entity tag vouches for it. */
  readonly onContinued?: (() => void) | undefined;
}

/** Bytes that a file has to get further by for its tries to begin anew. */
const PROGRESS = 1024 * 1024;

/**
 * Files of an HTTP server, read in spite of failures that may pass: a connection that is refused or
 * breaks, a timeout, 408, 425, 429 and most of 5xx. Each request is tried a bounded number of
 * times. `Retry-After` counts; in a page, if CORS lets it be read.
 */
export class CacheFiles {
  readonly #fetch: typeof globalThis.fetch;
  readonly #headers: readonly [string, string][];
  readonly #retry: RetryPolicy | undefined;

  /** @throws StoreError `invalid` for a timeout that is not a positive number */
  constructor({ fetch, headers, timeouts, retry }: CacheFilesOptions = {}) {
    this.#fetch = watchedFetch(fetch, timeouts);
    this.#headers = [...new Headers(headers)];
    this.#retry = retry;
  }

  /**
   * A short text.
   *
   * @returns `undefined` if the file is missing
   * @throws StoreError `invalid` for more than `maxLength` bytes or what is not UTF-8, `denied`,
   *   `unavailable`
   */
  async text(url: string, maxLength: number, options: TextOptions = {}): Promise<string | undefined> {
    const { signal, decode } = options;
    const tries = new Tries(this.#retry, options);
    for (;;) {
      try {
        const response = await this.#get(url, 0, signal);
        if (!response) return undefined;
        const body = upTo(bodyOf(response, signal), url, maxLength);
        const parts: Uint8Array[] = [];
        for await (const bytes of decode ? upTo(decode(body, signal), url, maxLength) : body) parts.push(bytes);
        const text = decodeUtf8Strict(concatBytes(parts));
        if (text === undefined) throw new StoreError("invalid", `${url} is not UTF-8`);
        return text;
      } catch (error) {
        await tries.again(error);
      }
    }
  }

  /**
   * A file of any length. If the body breaks off, the next request asks for the rest alone; if the
   * server sends the whole file again, the part that was read before is skipped. The reader has to
   * check that the parts fit together.
   *
   * @throws StoreError `not-found`, `denied`, `unavailable`; `corrupt` if the file has changed
   *   since the first request
   */
  async *stream(url: string, options: StreamOptions = {}): AsyncGenerator<Uint8Array> {
    const { signal, size = Number.POSITIVE_INFINITY } = options;
    const tries = new Tries(this.#retry, options);
    let offset = 0;
    /** The offset at the last failure. */
    let before = 0;
    let tag: string | undefined;
    // A page may not be allowed to send the header, and a server may refuse it.
    let asksForRest = true;
    let hasRanges = false;
    for (;;) {
      const from: number = asksForRest ? offset : 0;
      let isAnswered = false;
      try {
        const response = await this.#get(url, from, signal);
        if (!response) throw new StoreError("not-found", `${url} is not there`);
        isAnswered = true;
        const start = startOf(response, from);
        if (start === undefined) {
          await discard(response);
          if (from === 0) throw new StoreError("corrupt", `${url} answers with a part of the file that was not asked for`);
          asksForRest = false;
          continue;
        }
        if (hasChanged(response, tag)) {
          await discard(response);
          throw new StoreError("corrupt", `${url} changed while it was read`);
        }
        // A strong tag vouches for each byte, so that the parts fit together.
        if (offset > 0 && (tag === undefined || strongTag(response) !== tag)) options.onContinued?.();
        tag ??= strongTag(response);
        hasRanges ||= response.status === 206 || acceptsRanges(response);
        let received = 0;
        let skip = offset - start;
        for await (const piece of bodyOf(response, signal)) {
          received += piece.length;
          const rest = skip > 0 ? piece.subarray(skip) : piece;
          skip -= piece.length - rest.length;
          if (rest.length === 0) continue;
          offset += rest.length;
          yield rest;
        }
        // A body of the declared length is whole. A file that gets no further is not longer.
        if (size === Number.POSITIVE_INFINITY || offset >= size || received >= declaredLength(response) || offset === before)
          return;
        throw new StoreError("unavailable", `${url} ended after ${offset} of ${size} bytes`);
      } catch (error) {
        // Only the end of the body was lost.
        if (offset > 0 && offset >= size && !signal?.aborted) return;
        asksForRest = isAnswered || hasRanges || from === 0;
        if (from > 0 && isLastingAnswer(error)) {
          asksForRest = false;
          continue;
        }
        if (offset >= before + PROGRESS) tries.reset();
        before = offset;
        await tries.again(error);
      }
    }
  }

  /** @returns `undefined` if the file is missing */
  async #get(url: string, from: number, signal: AbortSignal | undefined): Promise<Response | undefined> {
    const headers: [string, string][] = [...this.#headers];
    if (from > 0) headers.push(["range", `bytes=${from}-`]);
    const response = await this.#fetch(url, { headers, ...(signal && { signal }) });
    if (response.ok) return response;
    await discard(response);
    if (isMissing(response)) return undefined;
    throw answerError(url, response);
  }
}

/** The tries of one file. */
class Tries {
  readonly #backoff: Backoff;
  readonly #options: RequestOptions;

  constructor(retry: RetryPolicy | undefined, options: RequestOptions) {
    this.#backoff = new Backoff(retry);
    this.#options = options;
  }

  reset(): void {
    this.#backoff.reset();
  }

  /**
   * Resolves when it is time for the next try. Rejects if `error` won't pass, or has come too
   * often.
   */
  async again(error: unknown): Promise<void> {
    const { signal, onRetry } = this.#options;
    signal?.throwIfAborted();
    const hint = retryHint(error);
    if (!hint || !(error instanceof StoreError)) throw error;
    const delay = this.#backoff.fail(hint);
    if (delay === undefined) {
      const { failures } = this.#backoff;
      if (failures === 1) throw error;
      throw new StoreError(error.code, `${error.message}; gave up after ${failures} tries`, { cause: error });
    }
    await pause(delay, signal);
    onRetry?.();
  }
}

/**
 * Where the body of `response` begins in the file, which was asked for from byte `from` on;
 * `undefined` if it is of no use.
 */
function startOf(response: Response, from: number): number | undefined {
  if (response.status !== 206) return 0;
  const start = contentRangeStart(response) ?? from;
  return start === from ? start : undefined;
}

function hasChanged(response: Response, tag: string | undefined): boolean {
  const now = strongTag(response);
  return tag !== undefined && now !== undefined && now !== tag;
}

async function* upTo(bytes: AsyncIterable<Uint8Array>, url: string, maxLength: number): AsyncGenerator<Uint8Array> {
  let length = 0;
  for await (const piece of bytes) {
    length += piece.length;
    if (length > maxLength) throw new StoreError("invalid", `${url} is longer than ${maxLength} bytes`);
    yield piece;
  }
}
