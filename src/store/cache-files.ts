import { Backoff, type RetryPolicy } from "../backoff.ts";
import { concatBytes, decodeUtf8Strict } from "../bytes.ts";
import { StoreError } from "../error.ts";
import { pause } from "../pause.ts";
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
  /** Replaces the platform's `fetch`. */
  readonly fetch?: typeof globalThis.fetch | undefined;
  /** Headers of each request. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly timeouts?: Timeouts | undefined;
  readonly retry?: RetryPolicy | undefined;
}

export interface RequestOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called before each retry of a failed request. */
  readonly onRetry?: (() => void) | undefined;
}

export interface TextOptions extends RequestOptions {
  /** Decodes a body that the platform may have left encoded. */
  readonly decode?: ((bytes: AsyncIterable<Uint8Array>, signal: AbortSignal | undefined) => AsyncIterable<Uint8Array>) | undefined;
}

export interface StreamOptions extends RequestOptions {
  /** Size of the file in bytes, if known. It reveals a body that a proxy cut short. */
  readonly size?: number | undefined;
  /**
   * Called when the file is put together from several responses and no strong entity tag proves
   * that they belong to the same file.
   */
  readonly onContinued?: (() => void) | undefined;
}

/** Bytes of progress after a failure that reset the count of tries. */
const PROGRESS = 1024 * 1024;

/**
 * Reads files of an HTTP server and retries temporary failures: refused or broken connections,
 * timeouts, the statuses 408, 425 and 429, and most 5xx statuses. Each request has a limited number
 * of tries. `Retry-After` is honoured; in a page, only if CORS lets the page read it.
 */
export class CacheFiles {
  readonly #fetch: typeof globalThis.fetch;
  readonly #headers: readonly [string, string][];
  readonly #retry: RetryPolicy | undefined;

  /** @throws StoreError `invalid` if a timeout is not a positive number */
  constructor({ fetch, headers, timeouts, retry }: CacheFilesOptions = {}) {
    this.#fetch = watchedFetch(fetch, timeouts);
    this.#headers = [...new Headers(headers)];
    this.#retry = retry;
  }

  /**
   * Reads a short text file.
   *
   * @param maxLength limit in bytes, both as sent and decoded
   * @returns `undefined` if the file is missing
   * @throws StoreError `invalid` if the file is longer than `maxLength` bytes or is not UTF-8;
   *   `denied` or `unavailable` if the request fails
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
   * Streams a file of any length. If the body breaks off, the next request asks for the rest only.
   * If the server sends the whole file again, the part that was read before is skipped. The caller
   * must check that the parts fit together.
   *
   * @throws StoreError `not-found` if the file is missing; `denied` or `unavailable` if the request
   *   fails; `corrupt` if the file has changed since the first request
   */
  async *stream(url: string, options: StreamOptions = {}): AsyncGenerator<Uint8Array> {
    const { signal, size = Number.POSITIVE_INFINITY } = options;
    const tries = new Tries(this.#retry, options);
    let offset = 0;
    /** Offset at the last failure. */
    let before = 0;
    let tag: string | undefined;
    // CORS may forbid a page to send the `Range` header, and a server may refuse it.
    let asksForRest = true;
    let hasRanges = false;
    for (;;) {
      const from: number = asksForRest ? offset : 0;
      let isAnswered = false;
      try {
        const response = await this.#get(url, from, signal);
        if (!response) throw new StoreError("not-found", `${url} does not exist`);
        isAnswered = true;
        const start = startOf(response, from);
        if (start === undefined) {
          await discard(response);
          if (from === 0) throw new StoreError("corrupt", `${url} sent a part of the file that was not requested`);
          asksForRest = false;
          continue;
        }
        if (hasChanged(response, tag)) {
          await discard(response);
          throw new StoreError("corrupt", `${url} changed while it was read; try again`);
        }
        // An equal strong tag proves that the parts fit together.
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
        // A body of the declared length is complete. If two tries end at the same offset, the file
        // ends there.
        if (size === Number.POSITIVE_INFINITY || offset >= size || received >= declaredLength(response) || offset === before)
          return;
        throw new StoreError("unavailable", `${url} ended after ${offset} of ${size} bytes`);
      } catch (error) {
        // All bytes arrived; only the end of the body was lost.
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

/** Counts and delays the tries for one file. */
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
   * Resolves when the next try is due.
   *
   * @throws `error`, if it is not temporary or there are no tries left
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
 * Returns the offset in the file at which the body of `response` begins.
 *
 * @param from first byte that was requested
 * @returns `undefined` if the body is useless, because it begins elsewhere
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
