import { StoreError } from "../error.ts";
import { serveFetch } from "../thread/port-fetch.ts";
import type { RemoteAddress } from "../thread/sync-api.ts";

export interface RemoteOptions {
  /** Protocol; `connect` by default. Plain gRPC is impossible in a page. */
  protocol?: "connect" | "grpc-web" | undefined;
  /** Family of the remote's service names. `auto`, the default, detects it. */
  dialect?: "auto" | "tvix" | "snix" | undefined;
  /** Replaces the worker's own `fetch`. It is called in the page, once for each request. */
  fetch?: typeof globalThis.fetch | undefined;
  /** Headers of each request. */
  headers?: HeadersInit | undefined;
}

/**
 * Address of a daemon that a page can reach, with the protocol, service names and headers for its
 * requests. A store's worker keeps one connection for each `Remote`, so use one object for several
 * calls.
 */
export class Remote {
  readonly url: string;
  readonly protocol: "connect" | "grpc-web";
  readonly dialect: "auto" | "tvix" | "snix";
  #headers: [string, string][];
  #fetch: typeof globalThis.fetch | undefined;

  /** @internal */
  constructor(url: string, options: RemoteOptions) {
    this.url = url;
    this.protocol = options.protocol ?? "connect";
    this.dialect = options.dialect ?? "auto";
    this.#headers = [...new Headers(options.headers)];
    this.#fetch = options.fetch;
  }

  /** @internal */
  get address(): RemoteAddress {
    return { url: this.url, protocol: this.protocol, dialect: this.dialect, headers: this.#headers };
  }

  /**
   * Lets a worker use the page's own `fetch`, through `port`, until `stop` is called. Returns
   * `undefined` if the worker's `fetch` is to be used.
   *
   * @internal
   */
  serveFetch(): { port: MessagePort; stop(): void } | undefined {
    if (!this.#fetch) return undefined;
    const { port1, port2 } = new MessageChannel();
    return { port: port2, stop: serveFetch(port1, this.#fetch) };
  }
}

/**
 * Returns the address of a remote daemon, for example `http://localhost:8000`. It sends no request
 * yet.
 *
 * @throws StoreError `invalid` if `url` is not an `http:` or `https:` address
 */
export function connectRemote(url: string, options: RemoteOptions = {}): Remote {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed?.protocol !== "http:" && parsed?.protocol !== "https:") {
    throw new StoreError("invalid", `not the address of a daemon: ${JSON.stringify(url)} should begin with http:// or https://`);
  }
  return new Remote(parsed.href.replace(/\/$/, ""), options);
}
