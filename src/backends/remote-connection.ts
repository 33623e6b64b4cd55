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

/** Calls that a batch has under way: enough to hide latency, few enough for a page, which has six connections over HTTP/1.1. */
export const REMOTE_CONCURRENCY = 8;

/** Messages without a byte that a server may send in a row. */
const MAX_EMPTY_PIECES = 1000;

/** Milliseconds that a remote has for an answer about itself, which is small and costs it nothing. */
export const QUESTION_TIMEOUT = 30_000;

const FAMILIES: readonly WireFamily[] = ["tvix", "snix"];

/**
 * Calls to one remote, with their failures as `StoreError`s that name it. What breaks a rule in an answer is `corrupt`, since nobody
 * here gave it; a service's own arguments must be checked before.
 */
export class RemoteConnection {
  readonly name: string;
  #transport: Transport;
  #client: Promise<StoreClient> | undefined;

  /** @param family of service names; found out at the first call if it isn't given */
  constructor(transport: Transport, name: string, family: WireFamily | undefined) {
    this.name = name;
    this.#transport = transport;
    if (family) this.#client = Promise.resolve(createStoreClient(transport, family));
  }

  /** Which names the remote's services have. */
  async family(): Promise<WireFamily> {
    return (await this.#findClient(undefined)).family;
  }

  /** One call. @param what is done, for messages: `reading blob ...` */
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

  /** One call that answers a stream. Leaving the iteration early ends the call. */
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
        // All of the answer may be here already, and then nothing waits that an abort could end.
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

  /** One call that answers bytes: pieces that have any. @throws StoreError `corrupt` for a remote that only keeps us busy */
  async *streamBytes(
    what: string,
    signal: AbortSignal | undefined,
    run: (client: StoreClient, signal: AbortSignal) => AsyncIterable<Uint8Array>,
  ): AsyncGenerator<Uint8Array> {
    let empty = 0;
    for await (const piece of this.stream(what, signal, run)) {
      empty = piece.length === 0 ? empty + 1 : 0;
      if (empty > MAX_EMPTY_PIECES) throw new StoreError("corrupt", `${what}, ${this.name} sends messages without content`);
      if (piece.length > 0) yield piece;
    }
  }

  #failure(error: unknown, what: string, signal: AbortSignal | undefined): unknown {
    const failure = fromConnectError(error, `${what}, ${this.name}`, signal);
    if (failure !== error || !isStoreError(failure, "invalid")) return failure;
    return new StoreError("corrupt", `${what}, ${this.name} sent what breaks a rule: ${failure.message}`, { cause: failure });
  }

  /** Each caller may give up waiting by itself; the question goes on for the others. */
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
