/**
 * The entry point for threads that can't start workers, such as service workers. It runs the whole
 * store in the calling thread, and shares the store with pages that have it open. In a page it
 * would block the main thread.
 */

import { expose, wrap } from "comlink";
import type { OpenStoreOptions } from "./browser/open-store.ts";
import { Store } from "./browser/store.ts";
import { StoreError } from "./error.ts";
import { InlineHashEngine } from "./hash/inline-engine.ts";
import type { OperationOptions } from "./progress.ts";
import { changeChannel } from "./thread/change-channel.ts";
import { operationPort } from "./thread/operation-port.ts";
import type { StoreApi } from "./thread/store-api.ts";
import { handleThrownErrors } from "./thread/thrown-errors.ts";
import { untilAborted } from "./until-aborted.ts";
import { StoreServer } from "./worker/store-server.ts";

export { connectRemote, type Remote, type RemoteOptions } from "./browser/remote.ts";
export type { Store } from "./browser/store.ts";
export type { Archive } from "./browser/store-calls.ts";
export { isStoreError, StoreError } from "./error.ts";

/**
 * Opens the store of this name in this origin, or creates an empty one. If this thread can't write
 * files synchronously, new content goes to IndexedDB. Content in OPFS stays readable.
 *
 * @throws StoreError with the codes of `openStore` in the page's entry point
 */
export async function openStore(
  name: string,
  { storage = "auto", durability = "strict", ...options }: Pick<OpenStoreOptions, "storage" | "durability"> & OperationOptions = {},
): Promise<Store> {
  if (typeof name !== "string" || name === "") throw new StoreError("invalid", "a store needs a name");
  handleThrownErrors();
  const server = new StoreServer(() => new InlineHashEngine());
  const operation = operationPort(options);
  const opened = await untilAborted(server.open(name, { storage, durability, workers: 1 }, operation.port), options.signal).finally(
    operation.finish,
  );
  const { port1, port2 } = new MessageChannel();
  expose(server, port1);
  const lost = new AbortController();
  const connection = {
    api: wrap<StoreApi>(port2),
    lost: lost.signal,
    call: <T>(answer: Promise<T>): Promise<T> => untilAborted(answer, lost.signal),
    close: async (): Promise<void> => {
      await server.close();
      connection.end(new StoreError("closed", "the store was closed"));
    },
    end: (reason: StoreError): void => {
      void server.close();
      lost.abort(reason);
      port1.close();
      port2.close();
    },
  };
  // A service worker can't remember that the store existed before, so it can't detect an eviction.
  return new Store(name, connection, changeChannel(name), { ...opened, evicted: false });
}
