import { transfer } from "comlink";
import type { RemoteUse } from "../thread/sync-api.ts";
import type { Remote } from "./remote.ts";

/** The calls of one store that use a remote at the moment. */
interface Running {
  calls: number;
  /** Ends the page's `fetch` for these calls. */
  readonly stop: () => void;
}

/**
 * Tells a store's worker which remote a call uses. The worker keeps one connection for each
 * `Remote`, until this class reports that the `Remote` was garbage-collected.
 */
export class RemoteUses {
  readonly #ids = new WeakMap<Remote, number>();
  /** Also keeps these remotes from being garbage-collected. */
  readonly #running = new Map<Remote, Running>();
  readonly #collected: FinalizationRegistry<number>;
  #lastId = 0;

  /** @param forget called with the id of a remote that was garbage-collected */
  constructor(forget: (id: number) => void) {
    this.#collected = new FinalizationRegistry(forget);
  }

  /**
   * Begins a call that uses `remote`. The result goes into exactly one message to the worker, sent
   * before another call begins. `end` must be called when the call has settled: after the last
   * one, the page's `fetch` no longer answers the worker's requests.
   */
  begin(remote: Remote): { use: RemoteUse; end(): void } {
    let running = this.#running.get(remote);
    let fetch: MessagePort | undefined;
    if (!running) {
      const served = remote.serveFetch();
      fetch = served?.port;
      running = { calls: 0, stop: served?.stop ?? (() => {}) };
      this.#running.set(remote, running);
    }
    running.calls++;
    const use: RemoteUse = { id: this.#idOf(remote), address: remote.address, fetch };
    return { use: transfer(use, fetch ? [fetch] : []), end: () => this.#end(remote) };
  }

  #end(remote: Remote): void {
    const running = this.#running.get(remote);
    if (!running || --running.calls > 0) return;
    this.#running.delete(remote);
    running.stop();
  }

  #idOf(remote: Remote): number {
    let id = this.#ids.get(remote);
    if (id === undefined) {
      id = ++this.#lastId;
      this.#ids.set(remote, id);
      this.#collected.register(remote, id);
    }
    return id;
  }
}
