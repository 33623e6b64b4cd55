import { once } from "node:events";
import { constants } from "node:http2";
import { concatBytes, decodeUtf8Strict } from "../../bytes.ts";
import { decompressedAs } from "../../compression/decompress.ts";
import { isStoreError, StoreError, type StoreErrorCode } from "../../error.ts";
import { isLoopbackAddress } from "../access.ts";
import type { ServerAnswer, ServerRequest } from "../rpc/listener.ts";
import { parseContentCoding } from "./content-coding.ts";

export interface CacheResponse {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Text, which gets its length, or bytes. */
  readonly body?: string | AsyncIterable<Uint8Array> | undefined;
}

/** How long a client that is sending may be silent, in milliseconds: as long as Nix itself waits. */
const BODY_TIMEOUT = 300_000;

/** Bytes that a client may send after its answer. */
const MAX_IGNORED = 256 * 1024 * 1024;

/** Bytes that encoding may add to content that can't be compressed. */
const CODING_OVERHEAD = 1024 * 1024;

/** One request and its answer. */
export class Exchange {
  readonly method: string;
  readonly url: URL;
  readonly #request: ServerRequest;
  readonly #answer: ServerAnswer;
  readonly #bodyTimeout: number;
  readonly #gone = new AbortController();

  constructor(request: ServerRequest, answer: ServerAnswer, bodyTimeout: number = BODY_TIMEOUT) {
    this.#request = request;
    this.#answer = answer;
    this.#bodyTimeout = bodyTimeout;
    this.method = request.method ?? "GET";
    this.url = new URL(request.url ?? "/", "http://cache");
    answer.once("close", () => this.#gone.abort(new StoreError("unavailable", "the client has gone")));
  }

  /** Aborted when the client is gone. */
  get signal(): AbortSignal {
    return this.#gone.signal;
  }

  header(name: string): string | undefined {
    return this.#request.headers[name]?.toString();
  }

  /** Whether the client is on this machine. */
  get isNear(): boolean {
    return isLoopbackAddress(this.#request.socket?.remoteAddress ?? "");
  }

  /** What the client sends. Throws at the end if that was not all of it, and ends the connection of one that stalls. */
  async *body(): AsyncGenerator<Uint8Array> {
    const request = this.#request;
    const broken = (cause?: unknown) => new StoreError("invalid", "the request broke off", { cause });
    // Only while it is the client that is waited for. One whose machine is gone would hold what it holds for ever.
    const wait = () => setTimeout(() => this.#breakOff(), this.#bodyTimeout);
    let timer = wait();
    try {
      // Whoever has enough of it still gets an answer.
      for await (const piece of request.iterator({ destroyOnReturn: false })) {
        clearTimeout(timer);
        yield piece;
        timer = wait();
      }
    } catch (cause) {
      throw broken(cause);
    } finally {
      clearTimeout(timer);
    }
    // Node ends the stream of an HTTP/2 request that was taken back as if that had been all.
    if ("stream" in request ? request.stream.aborted || request.stream.rstCode !== 0 : !request.complete) throw broken();
  }

  /** What the client sends. @throws StoreError `invalid` where it is longer than `maxLength` bytes */
  async *bodyUpTo(maxLength: number): AsyncGenerator<Uint8Array> {
    let length = 0;
    for await (const piece of this.body()) {
      length += piece.length;
      if (length > maxLength) throw new StoreError("invalid", `more than ${maxLength} bytes`);
      yield piece;
    }
  }

  /**
   * The body, decoded from its `Content-Encoding`.
   *
   * @throws StoreError `invalid` if it is damaged, or longer than `maxLength` bytes when decoded
   */
  async *content(maxLength: number): AsyncGenerator<Uint8Array> {
    const coding = parseContentCoding(this.header("content-encoding"));
    if (coding === undefined) throw new StoreError("invalid", "a Content-Encoding that can't be read here");
    if (coding === "none") {
      yield* this.bodyUpTo(maxLength);
      return;
    }
    let length = 0;
    const encoded = this.bodyUpTo(maxLength + CODING_OVERHEAD);
    for await (const piece of decompressedAs(encoded, coding, this.signal, { isUpload: true })) {
      length += piece.length;
      if (length > maxLength) throw new StoreError("invalid", `more than ${maxLength} bytes`);
      yield piece;
    }
  }

  /**
   * The body, decoded, as text.
   *
   * @throws StoreError `invalid` if it is damaged, longer than `maxLength` bytes or not UTF-8
   */
  async text(maxLength: number): Promise<string> {
    const parts: Uint8Array[] = [];
    for await (const piece of this.content(maxLength)) parts.push(piece);
    const text = decodeUtf8Strict(concatBytes(parts));
    if (text === undefined) throw new StoreError("invalid", "not UTF-8");
    return text;
  }

  /** Answers with what `respond` gives, or with its error. */
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
      this.#breakOff();
    } finally {
      this.#ignoreRest();
    }
  }

  /** So that the client knows, also where no length was declared: destroying alone ends an answer of HTTP/2 as if that had been all. */
  #breakOff(): void {
    const answer = this.#answer;
    if ("stream" in answer) answer.stream?.close(constants.NGHTTP2_INTERNAL_ERROR);
    else answer.destroy();
  }

  /** What is still sent is let pass, since many clients listen only then; but not without an end. */
  #ignoreRest(): void {
    let length = 0;
    this.#request.on("data", (piece: Uint8Array) => {
      length += piece.length;
      if (length <= MAX_IGNORED) return;
      // Destroying the request of HTTP/2 leaves the client waiting for leave to send more.
      if ("stream" in this.#request) this.#request.stream.close(constants.NGHTTP2_NO_ERROR);
      else this.#request.destroy();
    });
  }

  async #send({ status, headers, body }: CacheResponse): Promise<void> {
    const answer = this.#answer;
    const isHead = this.method === "HEAD";
    for (const [name, value] of Object.entries(headers ?? {})) setHeader(answer, name, value);
    if (typeof body === "string") answer.setHeader("content-length", String(Buffer.byteLength(body)));
    else if (!body && !isHead && status !== 304 && status !== 204) answer.setHeader("content-length", "0");
    answer.writeHead(status);
    if (isHead || !body) {
      await end(answer);
      return;
    }
    if (typeof body === "string") await write(answer, Buffer.from(body), this.signal);
    else for await (const bytes of body) await write(answer, bytes, this.signal);
    await end(answer);
  }

  #failure(error: unknown): CacheResponse {
    const code = isStoreError(error) ? error.code : "internal";
    const status = STATUS[code];
    if (status >= 500 && !this.signal.aborted) this.#log(error);
    // Nothing of a defect but that there is one: the rest is in the log.
    const reason = isStoreError(error) && code !== "internal" ? error.message : "a defect of this server";
    return { status, headers: { "content-type": "text/plain; charset=utf-8", "cache-control": "no-store" }, body: `${reason}\n` };
  }

  #log(error: unknown): void {
    console.error(`${this.method} ${this.url.pathname}:`, error);
  }
}

/** Of what went wrong with what the client sent, or with what is stored. */
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
  // The server's own answer depends on the origin already.
  const earlier = name === "vary" ? answer.getHeader(name) : undefined;
  answer.setHeader(name, earlier === undefined ? value : `${earlier}, ${value}`);
}

/** The same of both versions of HTTP, whose overloads differ. */
interface Sink {
  write(bytes: Uint8Array): boolean;
  end(done: () => void): unknown;
}

async function write(answer: ServerAnswer, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  if (!(answer as Sink).write(bytes)) await once(answer, "drain", { signal });
}

function end(answer: ServerAnswer): Promise<void> {
  return new Promise((resolve) => {
    answer.once("close", resolve);
    (answer as Sink).end(resolve);
  });
}
