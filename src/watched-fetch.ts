import { StoreError } from "./error.ts";
import { onAbort } from "./on-abort.ts";
import { rebuiltResponse } from "./rebuilt-response.ts";
import { checkTimeouts, type Timeouts } from "./timeouts.ts";

/**
 * Creates a `fetch` that never waits forever and fails with a `StoreError` that names the URL. The
 * code is `unavailable` if the server can't be reached, doesn't answer, breaks off the body, or
 * answers with a status outside 200 to 599, and if a timeout passes. `cause` is the platform's
 * error. An abort rejects with the signal's reason, even in the middle of the body, and even if
 * `fetch` ignores its signal.
 *
 * The `Response` lacks `url`, `type` and `redirected`.
 *
 * @param fetch the platform's `fetch` by default
 * @throws StoreError `invalid` for a timeout that is not a positive number
 */
export function watchedFetch(fetch?: typeof globalThis.fetch, timeouts?: Timeouts): typeof globalThis.fetch {
  const limits = checkTimeouts(timeouts);
  return async (input, init) => {
    const isRequest = input instanceof Request;
    const transfer = new Transfer(isRequest ? input.url : String(input), init?.signal ?? (isRequest ? input.signal : undefined));
    // The platform's `fetch` must not be called as a method of another object.
    const send = fetch ?? ((...request: Parameters<typeof globalThis.fetch>) => globalThis.fetch(...request));
    const response = await transfer.head(() => send(input, { ...init, signal: transfer.signal }), limits.connect);
    if (!response.body) {
      transfer.end();
      return response;
    }
    return rebuiltResponse(transfer.url, transfer.body(response.body, limits.stall), response);
  };
}

/** One request and its answer. */
class Transfer {
  readonly url: string;
  readonly #caller: AbortSignal | undefined;
  readonly #unlink: () => void;
  readonly #controller = new AbortController();

  constructor(url: string, caller: AbortSignal | undefined) {
    this.url = url;
    this.#caller = caller;
    caller?.throwIfAborted();
    this.#unlink = onAbort(caller, () => this.#controller.abort(caller?.reason));
  }

  /** Aborted by the caller or by a timeout. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Stops listening to the caller's signal. */
  end(): void {
    this.#unlink();
  }

  async head(send: () => Promise<Response>, limit: number): Promise<Response> {
    const { signal } = this;
    try {
      const sent = send();
      // Nobody reads an answer that comes after the abort, so cancel its body.
      sent.then((late) => (signal.aborted ? late.body?.cancel() : undefined)).catch(() => {});
      return await this.#within(sent, limit, "did not answer");
    } catch (cause) {
      this.end();
      throw this.#failure(cause, "can't be reached");
    }
  }

  body(body: ReadableStream<Uint8Array>, limit: number): ReadableStream<Uint8Array<ArrayBuffer>> {
    const reader = body.getReader();
    let length = 0;
    return new ReadableStream<Uint8Array<ArrayBuffer>>(
      {
        pull: async (controller) => {
          try {
            const { done, value } = await this.#within(reader.read(), limit, `stopped after ${length} bytes, and sent nothing`);
            if (done) {
              this.end();
              controller.close();
              return;
            }
            length += value.length;
            controller.enqueue(value as Uint8Array<ArrayBuffer>);
          } catch (cause) {
            this.end();
            reader.cancel(cause).catch(() => {});
            controller.error(this.#failure(cause, `broke off after ${length} bytes`));
          }
        },
        cancel: (reason) => {
          this.end();
          reader.cancel(reason).catch(() => {});
        },
      },
      { highWaterMark: 0 },
    );
  }

  /**
   * Settles like `work`, unless the caller aborts or `limit` milliseconds pass first. Both end the
   * request.
   */
  #within<T>(work: Promise<T>, limit: number, late: string): Promise<T> {
    const { signal } = this;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#controller.abort(new StoreError("unavailable", `${this.url} ${late} for ${limit / 1000} seconds`));
      }, limit);
      const giveUp = (): void => {
        clearTimeout(timer);
        reject(signal.reason);
      };
      const unlink = onAbort(signal, giveUp);
      const settled = (): void => {
        clearTimeout(timer);
        unlink();
      };
      work.then(resolve, reject).then(settled);
    });
  }

  #failure(cause: unknown, what: string): unknown {
    if (this.#caller?.aborted) return this.#caller.reason;
    if (this.signal.aborted) return this.signal.reason;
    if (cause instanceof StoreError) return cause;
    return new StoreError("unavailable", `${this.url} ${what}${platformReason(cause)}`, { cause });
  }
}

/**
 * The platform's reason for a failure, in parentheses. Node keeps the socket's error as the cause;
 * browsers give little detail.
 */
function platformReason(error: unknown): string {
  const inner = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  if (!(inner instanceof Error)) return "";
  const reason = "code" in inner && typeof inner.code === "string" ? inner.code : inner.message;
  return reason ? ` (${reason})` : "";
}
