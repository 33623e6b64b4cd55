/**
 * The entry point for threads that can't start workers, such as service workers. It runs the whole
 * store in the calling thread, and shares the store with pages that have it open. In a page it
 * would block the main thread.
 */

import { expose, wrap } from "comlink";
import type { OpenStoreOptions } from "./browser/open-store.ts";
import { Store } from "./browser/store.ts";
import type { StoreConnection } from "./browser/store-worker-client.ts";
import { StoreError } from "./error.ts";
import { InlineHashEngine } from "./hash/inline-engine.ts";
import type { OperationOptions } from "./progress.ts";
import { acquiring } from "./resource-stack.ts";
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
  return acquiring(async (acquired) => {
    const server = new StoreServer(() => new InlineHashEngine());
    const operation = operationPort(options);
    const opening = server.open(name, { storage, durability, workers: 1 }, operation.port);
    // An abort doesn't wait for the server, which may still open the store after it.
    acquired.defer(() => void opening.then(() => server.close()).catch(() => {}));
    const opened = await untilAborted(opening, options.signal).finally(operation.finish);
    const connection = connect(server);
    acquired.defer(() => connection.end(new StoreError("closed", "the store was not opened")));
    const changes = acquired.use(changeChannel(name));
    // A service worker can't remember that the store existed before, so it can't detect an
    // eviction.
    return new Store(name, connection, changes, { ...opened, evicted: false });
  });
}

/** Connects to a server in this thread. */
function connect(server: StoreServer): StoreConnection {
  const { port1, port2 } = new MessageChannel();
  expose(server, port1);
  const lost = new AbortController();
  const end = (reason: StoreError): void => {
    void server.close();
    lost.abort(reason);
    port1.close();
    port2.close();
  };
  return {
    api: wrap<StoreApi>(port2),
    lost: lost.signal,
    call: (answer) => untilAborted(answer, lost.signal),
    end,
    close: async () => {
      await server.close();
      end(new StoreError("closed", "the store was closed"));
    },
  };
}
