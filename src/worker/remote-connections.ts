import { isStoreError } from "../error.ts";
import type { HashEngine } from "../hash/engine.ts";
import type { OperationOptions } from "../progress.ts";
import type { RemoteStore } from "../store/services.ts";
import { fetchThrough } from "../thread/port-fetch.ts";
import type { RemoteAddress, RemoteUse } from "../thread/sync-api.ts";
import { connectRemoteAddress } from "./connect-remote.ts";

/** The connections to the remotes of the page, by the page's ids. */
export class RemoteConnections {
  readonly #kept = new Map<number, KeptConnection>();

  /**
   * Returns the connection for a call of the page. Must be called when the call arrives, because
   * the page's `fetch` comes with the first of several concurrent calls.
   */
  of({ id, address, fetch }: RemoteUse): KeptConnection {
    let kept = this.#kept.get(id);
    if (!kept) {
      kept = new KeptConnection(address);
      this.#kept.set(id, kept);
    }
    if (fetch) kept.fetchThrough(fetch);
    return kept;
  }

  /** Forgets a connection that the page no longer uses. */
  forget(id: number): void {
    this.#kept.get(id)?.close();
    this.#kept.delete(id);
  }

  /** Forgets all connections. */
  close(): void {
    for (const id of [...this.#kept.keys()]) this.forget(id);
  }
}

/**
 * A connection to one remote, with the facts that it has found out: the family of the remote's
 * service names, its capabilities and its size rule. It is kept for as long as the operations
 * succeed. After a failure, or an abort of `use`, the next operation connects anew, because another
 * program may answer at the address by then.
 *
 * A program may also be replaced between two operations. The first operation then fails as
 * `unavailable`, because the new program lacks the services of the old one. If a kept connection
 * fails in this way before anything was done, the operation runs once more on a new connection.
 */
export class KeptConnection {
  readonly #address: RemoteAddress;
  #store: RemoteStore | undefined;
  /** Port to the page's own `fetch`. */
  #port: MessagePort | undefined;

  constructor(address: RemoteAddress) {
    this.#address = address;
  }

  /** Sends later requests through another port. The page has already closed the previous port. */
  fetchThrough(port: MessagePort): void {
    this.#port?.close();
    this.#port = port;
  }

  /** Runs `work` with the store at the remote. */
  async use<T, O extends OperationOptions>(
    engine: HashEngine,
    options: O,
    work: (store: RemoteStore, options: O) => Promise<T>,
  ): Promise<T> {
    for (;;) {
      const { store, isReused } = this.#connect(engine);
      let hasBegun = false;
      const onProgress: O["onProgress"] = (progress) => {
        hasBegun = true;
        options.onProgress?.(progress);
      };
      try {
        return await work(store, { ...options, onProgress });
      } catch (error) {
        this.#drop(store);
        if (!isReused || hasBegun || options.signal?.aborted || !isStoreError(error, "unavailable")) throw error;
      }
    }
  }

  /** Yields the items that `list` yields for the store at the remote. */
  async *list<T>(engine: HashEngine, list: (store: RemoteStore) => AsyncIterable<T>): AsyncGenerator<T> {
    for (;;) {
      const { store, isReused } = this.#connect(engine);
      let hasBegun = false;
      try {
        for await (const item of list(store)) {
          hasBegun = true;
          yield item;
        }
        return;
      } catch (error) {
        this.#drop(store);
        if (!isReused || hasBegun || !isStoreError(error, "unavailable")) throw error;
      }
    }
  }

  close(): void {
    this.#store = undefined;
    this.#port?.close();
  }

  #connect(engine: HashEngine): { store: RemoteStore; isReused: boolean } {
    if (this.#store) return { store: this.#store, isReused: true };
    const first = this.#port;
    const fetch: typeof globalThis.fetch | undefined = first && ((input, init) => fetchThrough(this.#port ?? first)(input, init));
    this.#store = connectRemoteAddress(this.#address, engine, fetch);
    return { store: this.#store, isReused: false };
  }

  /** Forgets `store`, unless a later operation has connected anew already. */
  #drop(store: RemoteStore): void {
    if (this.#store === store) this.#store = undefined;
  }
}
