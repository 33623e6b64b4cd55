import { once } from "node:events";
import { concatBytes, decodeUtf8Strict } from "../../bytes.ts";
import { decompressedAs } from "../../compression/decompress.ts";
import { isStoreError, StoreError, type StoreErrorCode } from "../../error.ts";
import type { Pace } from "../../pace.ts";
import { Turn } from "../../turn.ts";
import { isLoopbackAddress } from "../access.ts";
import { breakOff, ignoreRest, isComplete, type ServerAnswer, type ServerRequest, whenGone } from "../server-request.ts";
import { STALL_TIMEOUT, Transfer, type TransferOptions } from "../transfer.ts";
import { parseContentCoding } from "./content-coding.ts";

export interface CacheResponse {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Body of the response. A string also sets `Content-Length`. */
  readonly body?: string | AsyncIterable<Uint8Array> | undefined;
}

/** Bytes that a coding may add to content that can't be compressed. */
const CODING_OVERHEAD = 1024 * 1024;

/** One HTTP request and its answer. */
export class Exchange {
  readonly method: string;
  readonly url: URL;
  readonly #request: ServerRequest;
  readonly #answer: ServerAnswer;
  readonly #transfer: Transfer;
  readonly #turn = new Turn();
  readonly #gone = new AbortController();

  constructor(request: ServerRequest, answer: ServerAnswer, transfer?: TransferOptions) {
    this.#request = request;
    this.#answer = answer;
    this.#transfer = new Transfer(() => breakOff(answer), transfer);
    this.method = request.method ?? "GET";
    this.url = new URL(request.url ?? "/", "http://cache");
    whenGone(request, answer, () => {
      this.#gone.abort(new StoreError("unavailable", "the client has gone"));
      this.#transfer.end();
    });
  }

  /** Aborted when the client has closed the connection. */
  get signal(): AbortSignal {
    return this.#gone.signal;
  }

  /** Speed of the client. */
  get pace(): Pace {
    return this.#transfer.pace;
  }

  /** Reserves memory until the request ends. See `Transfer.reserve`. */
  reserve(bytes: number): Promise<void> {
    return this.#transfer.reserve(bytes, this.signal);
  }

  header(name: string): string | undefined {
    return this.#request.headers[name]?.toString();
  }

  /** Whether the client is on this machine. */
  get isNear(): boolean {
    return isLoopbackAddress(this.#request.socket?.remoteAddress ?? "");
  }

  /**
   * Yields the request's body. Resets the request if the client stalls.
   *
   * @throws StoreError `invalid` if the client doesn't send the whole body; `unavailable` if it is
   *   too slow while others wait for memory
   */
  async *body(): AsyncGenerator<Uint8Array> {
    const request = this.#request;
    const broken = (cause?: unknown) => new StoreError("invalid", "the client did not send the whole request", { cause });
    try {
      // A consumer may stop early and still answer, so the request must not be destroyed.
      for await (const piece of this.#transfer.received(request.iterator({ destroyOnReturn: false }))) {
        // Reading bytes that have already arrived never leaves the event loop, so other requests
        // would wait.
        await this.#turn.pass();
        yield piece;
      }
    } catch (cause) {
      throw isStoreError(cause) ? cause : broken(cause);
    }
    if (!isComplete(request)) throw broken();
  }

  /**
   * Yields the request's body.
   *
   * @throws StoreError `invalid` if the body is longer than `maxLength` bytes
   */
  async *bodyUpTo(maxLength: number): AsyncGenerator<Uint8Array> {
    let length = 0;
    for await (const piece of this.body()) {
      length += piece.length;
      if (length > maxLength) throw new StoreError("invalid", `the body has more than ${maxLength} bytes`);
      yield piece;
    }
  }

  /**
   * Yields the request's body, decoded from its `Content-Encoding`.
   *
   * @throws StoreError `invalid` if the body is damaged, or longer than `maxLength` bytes when
   *   decoded
   */
  async *content(maxLength: number): AsyncGenerator<Uint8Array> {
    const coding = parseContentCoding(this.header("content-encoding"));
    if (coding === undefined) throw new StoreError("invalid", "can't read the body: its Content-Encoding is not supported");
    if (coding === "none") {
      yield* this.bodyUpTo(maxLength);
      return;
    }
    let length = 0;
    const encoded = this.bodyUpTo(maxLength + CODING_OVERHEAD);
    for await (const piece of decompressedAs(encoded, coding, this.signal, { pace: this.pace })) {
      length += piece.length;
      if (length > maxLength) throw new StoreError("invalid", `the body has more than ${maxLength} bytes when decoded`);
      yield piece;
    }
  }

  /**
   * Reads the request's body as text, decoded from its `Content-Encoding`.
   *
   * @throws StoreError `invalid` if the body is damaged, longer than `maxLength` bytes or not UTF-8
   */
  async text(maxLength: number): Promise<string> {
    const parts: Uint8Array[] = [];
    for await (const piece of this.content(maxLength)) parts.push(piece);
    const text = decodeUtf8Strict(concatBytes(parts));
    if (text === undefined) throw new StoreError("invalid", "the body is not UTF-8");
    return text;
  }

  /** Sends the response of `respond`, or the answer for its error. */
  async answer(respond: () => Promise<CacheResponse>): Promise<void> {
    let response: CacheResponse;
    try {
      response = await respond();
    } catch (error) {
      response = this.#failure(error);
    }
    try {
      await this.#send(response);
    } catch (error) {
      if (!this.signal.aborted && !isStoreError(error, "invalid")) this.#log(error);
      breakOff(this.#answer);
    } finally {
      this.#transfer.end();
      ignoreRest(this.#request, STALL_TIMEOUT);
    }
  }

  async #send({ status, headers, body }: CacheResponse): Promise<void> {
    const answer = this.#answer;
    const isHead = this.method === "HEAD";
    for (const [name, value] of Object.entries(headers ?? {})) setHeader(answer, name, value);
    if (typeof body === "string") answer.setHeader("content-length", String(Buffer.byteLength(body)));
    else if (!body && !isHead && status !== 304 && status !== 204) answer.setHeader("content-length", "0");
    answer.writeHead(status);
    if (isHead || !body) {
      await this.#transfer.drained(0, end(answer));
      return;
    }
    if (typeof body === "string") await this.#write(Buffer.from(body));
    else
      for await (const bytes of body) {
        await this.#turn.pass();
        await this.#write(bytes);
      }
    await this.#transfer.drained(0, end(answer));
  }

  async #write(bytes: Uint8Array): Promise<void> {
    const { signal } = this;
    signal.throwIfAborted();
    if (!(this.#answer as Sink).write(bytes)) await this.#transfer.drained(bytes.length, once(this.#answer, "drain", { signal }));
  }

  #failure(error: unknown): CacheResponse {
    const code = isStoreError(error) ? error.code : "internal";
    const status = STATUS[code];
    if (status >= 500 && !this.signal.aborted) this.#log(error);
    // The client only learns that there is a bug. The log has the details.
    const reason = isStoreError(error) && code !== "internal" ? error.message : "an internal error of this server";
    return { status, headers: { "content-type": "text/plain; charset=utf-8", "cache-control": "no-store" }, body: `${reason}\n` };
  }

  #log(error: unknown): void {
    console.error(`${this.method} ${this.url.pathname}:`, error);
  }
}

/** HTTP status of each error code, for errors in the request or in stored data. */
const STATUS: Readonly<Record<StoreErrorCode, number>> = {
  "not-found": 404,
  invalid: 400,
  corrupt: 500,
  conflict: 409,
  quota: 507,
  closed: 503,
  unavailable: 503,
  denied: 403,
  internal: 500,
};

function setHeader(answer: ServerAnswer, name: string, value: string): void {
  // The server has already set `Vary` for the origin.
  const earlier = name === "vary" ? answer.getHeader(name) : undefined;
  answer.setHeader(name, earlier === undefined ? value : `${earlier}, ${value}`);
}

/** Methods that the answers of both HTTP versions share. Their overloads differ. */
interface Sink {
  write(bytes: Uint8Array): boolean;
  end(done: () => void): unknown;
}

function end(answer: ServerAnswer): Promise<void> {
  return new Promise((resolve) => {
    answer.once("close", resolve);
    (answer as Sink).end(resolve);
  });
}
