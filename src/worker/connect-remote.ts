import { connectRemoteStore } from "../backends/remote.ts";
import type { HashEngine } from "../hash/engine.ts";
import type { RemoteStore } from "../store/services.ts";
import type { RemoteAddress } from "../wire/store-api.ts";
import { fetchThrough } from "../wire/thread-fetch.ts";
import { createBrowserTransport } from "../wire/transport.ts";

/** The remote that the page named. */
export function connectRemoteAddress({ url, protocol, dialect, headers, fetch }: RemoteAddress, engine: HashEngine): RemoteStore {
  const transport = createBrowserTransport({
    baseUrl: url,
    protocol,
    headers: Object.fromEntries(headers),
    fetch: fetch && fetchThrough(fetch),
  });
  return connectRemoteStore(transport, { name: url, dialect, engine });
}
