import type { HashEngine } from "../hash/engine.ts";
import type { BinaryCacheOptions } from "../store/binary-cache.ts";
import type { RemoteStore } from "../store/services.ts";
import { watchedFetch } from "../watched-fetch.ts";
import { createBrowserTransport } from "../wire/transport.ts";
import { connectRemoteStore } from "./remote.ts";

/**
 * Connects to the castore services of a daemon that is also a binary cache, at the cache's own
 * address, over Connect. Sends nothing before the first use, because most caches have no such
 * services. Does not retry a failed call, because the NAR can replace it.
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
