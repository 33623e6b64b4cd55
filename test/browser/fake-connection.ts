import type { Remote } from "comlink";
import type { StoreConnection } from "../../src/browser/store-worker-client.ts";
import type { StoreError } from "../../src/error.ts";
import type { StoreApi } from "../../src/thread/store-api.ts";
import { untilAborted } from "../../src/until-aborted.ts";

/** The calls that a test expects; any other call is a mistake. */
export type FakeApi = {
  readonly [K in keyof StoreApi]?: { readonly [M in keyof StoreApi[K]]?: (...args: never[]) => unknown };
};

/** A connection to a store worker that consists of a few functions in this thread. */
export class FakeConnection implements StoreConnection {
  readonly api: Remote<StoreApi>;
  readonly #lost = new AbortController();

  constructor(api: FakeApi) {
    this.api = api as unknown as Remote<StoreApi>;
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  call<T>(answer: Promise<T>): Promise<T> {
    return untilAborted(answer, this.lost);
  }

  async close(): Promise<void> {}

  end(reason: StoreError): void {
    this.#lost.abort(reason);
  }
}
