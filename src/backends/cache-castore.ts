import type { HashEngine } from "../hash/engine.ts";
import type { BinaryCacheOptions } from "../store/binary-cache.ts";
import type { RemoteStore } from "../store/services.ts";
import { watchedFetch } from "../watched-fetch.ts";
import { createBrowserTransport } from "../wire/transport.ts";
import { connectRemoteStore } from "./remote.ts";

/**
 * The castore services of a daemon that is a binary cache as well, at the cache's own address, over
 * Connect. Nothing is sent before the first use: most caches have none. A call that fails is not
 * retried, since the NAR stands in for it.
 *
 * @throws StoreError `invalid` for a timeout that is not a positive number
 */
export function connectCacheCastore(
  url: string,
  engine: HashEngine,
  { fetch, headers, timeouts }: BinaryCacheOptions = {},
): RemoteStore {
  const transport = createBrowserTransport({
    baseUrl: url,
    protocol: "connect",
    headers: headers && { ...headers },
    fetch: watchedFetch(fetch, timeouts),
  });
  return connectRemoteStore(transport, { name: url, engine });
}
