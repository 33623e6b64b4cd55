import { connectRemoteStore } from "../backends/remote.ts";
import type { HashEngine } from "../hash/engine.ts";
import type { RemoteStore } from "../store/services.ts";
import { fetchThrough } from "../thread/port-fetch.ts";
import type { RemoteAddress } from "../thread/sync-api.ts";
import { createBrowserTransport } from "../wire/transport.ts";

/** Connects to the remote store that the page named. */
export function connectRemoteAddress({ url, protocol, dialect, headers, fetch }: RemoteAddress, engine: HashEngine): RemoteStore {
  const transport = createBrowserTransport({
    baseUrl: url,
    protocol,
    headers: Object.fromEntries(headers),
    fetch: fetch && fetchThrough(fetch),
  });
  return connectRemoteStore(transport, { name: url, dialect, engine });
}
