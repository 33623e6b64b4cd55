import { connectRemoteStore } from "../backends/remote.ts";
import type { HashEngine } from "../hash/engine.ts";
import type { RemoteStore } from "../store/services.ts";
import type { RemoteAddress } from "../thread/sync-api.ts";
import { createBrowserTransport } from "../wire/transport.ts";

/**
 * Connects to the remote store that the page named.
 *
 * @param fetch replaces this thread's own `fetch`
 */
export function connectRemoteAddress(
  { url, protocol, dialect, headers }: RemoteAddress,
  engine: HashEngine,
  fetch?: typeof globalThis.fetch,
): RemoteStore {
  const transport = createBrowserTransport({ baseUrl: url, protocol, headers: Object.fromEntries(headers), fetch });
  return connectRemoteStore(transport, { name: url, dialect, engine });
}
