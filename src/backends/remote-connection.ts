import type { Transport } from "@connectrpc/connect";
import { Code } from "@connectrpc/connect";
import { EMPTY_DIGEST } from "../castore/digest.ts";
import { isStoreError, StoreError } from "../error.ts";
import { onAbort } from "../on-abort.ts";
import { untilAborted } from "../until-aborted.ts";
import { createStoreClient, type StoreClient } from "../wire/client.ts";
import type { WireFamily } from "../wire/family.ts";
import { fromConnectError, isStatus, isUnimplemented } from "../wire/status.ts";
import { withDeadline } from "../with-deadline.ts";

/**
 * Maximum number of concurrent calls of a batch. It is enough to hide latency, and suits a page,
 * which has six connections over HTTP/1.1.
 */
export const REMOTE_CONCURRENCY = 8;

/** Maximum number of consecutive empty messages from a server. */
const MAX_EMPTY_PIECES = 1000;

/** Milliseconds that a remote has for an answer about itself. Such an answer is small and cheap. */
export const QUESTION_TIMEOUT = 30_000;

const FAMILIES: readonly WireFamily[] = ["tvix", "snix"];

/**
 * Makes calls to one remote. Failures become `StoreError`s that name the remote. An answer that
 * breaks a rule is `corrupt`, because it is not the caller's input. Services must check their own
 * arguments before a call.
 */
export class RemoteConnection {
  readonly name: string;
  #transport: Transport;
  #client: Promise<StoreClient> | undefined;

  /** @param family of service names; detected at the first call if not given */
  constructor(transport: Transport, name: string, family: WireFamily | undefined) {
    this.name = name;
    this.#transport = transport;
    if (family) this.#client = Promise.resolve(createStoreClient(transport, family));
  }

  /** Returns the family of the remote's service names. */
  family(): Promise<WireFamily> {
    return this.call("asking for its services", undefined, async ({ family }) => family);
  }

  /**
   * Makes one call.
   *
   * @param what the operation, for messages: `reading blob ...`
   */
  async call<T>(
    what: string,
    signal: AbortSignal | undefined,
    run: (client: StoreClient, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    signal?.throwIfAborted();
    const call = new AbortController();
    const unlink = onAbort(signal, () => call.abort(signal?.reason));
    try {
      return await run(await this.#findClient(signal), call.signal);
    } catch (error) {
      throw this.#failure(error, what, signal);
    } finally {
      unlink();
    }
  }

  /** Makes one call whose answer is a stream. Leaving the iteration early ends the call. */
  async *stream<T>(
    what: string,
    signal: AbortSignal | undefined,
    run: (client: StoreClient, signal: AbortSignal) => AsyncIterable<T>,
  ): AsyncGenerator<T> {
    signal?.throwIfAborted();
    const call = new AbortController();
    const unlink = onAbort(signal, () => call.abort(signal?.reason));
    try {
      for await (const message of run(await this.#findClient(signal), call.signal)) {
        // The whole answer may have arrived already. Then no pending read notices an abort.
        signal?.throwIfAborted();
        yield message;
      }
      signal?.throwIfAborted();
    } catch (error) {
      throw this.#failure(error, what, signal);
    } finally {
      unlink();
      call.abort();
    }
  }

  /**
   * Makes one call whose answer is bytes. Yields the pieces that are not empty.
   *
   * @throws StoreError `corrupt` if the remote sends over 1000 empty messages in a row
   */
  async *streamBytes(
    what: string,
    signal: AbortSignal | undefined,
    run: (client: StoreClient, signal: AbortSignal) => AsyncIterable<Uint8Array>,
  ): AsyncGenerator<Uint8Array> {
    let empty = 0;
    for await (const piece of this.stream(what, signal, run)) {
      empty = piece.length === 0 ? empty + 1 : 0;
      if (empty > MAX_EMPTY_PIECES)
        throw new StoreError("corrupt", `${what}, ${this.name} sends one empty message after the other`);
      if (piece.length > 0) yield piece;
    }
  }

  #failure(error: unknown, what: string, signal: AbortSignal | undefined): unknown {
    const failure = fromConnectError(error, `${what}, ${this.name}`, signal);
    if (failure !== error || !isStoreError(failure, "invalid")) return failure;
    return new StoreError("corrupt", `${what}, ${this.name} sent an invalid answer: ${failure.message}`, { cause: failure });
  }

  /**
   * Detects the remote's family once for all callers. A caller that aborts does not stop the
   * detection.
   */
  #findClient(signal: AbortSignal | undefined): Promise<StoreClient> {
    if (!this.#client) {
      const late = (): StoreError =>
        new StoreError("unavailable", `${this.name} did not answer for ${QUESTION_TIMEOUT / 1000} seconds`);
      this.#client = withDeadline(QUESTION_TIMEOUT, late, (signal) => this.#probe(signal));
      this.#client.catch(() => {
        this.#client = undefined;
      });
    }
    return untilAborted(this.#client, signal);
  }

  async #probe(signal: AbortSignal): Promise<StoreClient> {
    for (const family of FAMILIES) {
      const client = createStoreClient(this.#transport, family);
      try {
        await client.statBlob(EMPTY_DIGEST, false, signal);
        return client;
      } catch (error) {
        if (isStatus(error, Code.NotFound)) return client;
        if (!isUnimplemented(error)) throw error;
      }
    }
    throw new StoreError("unavailable", `${this.name} has neither tvix's nor snix's services`);
  }
}
