import { StoreError } from "../error.ts";
import { serveFetch } from "../thread/port-fetch.ts";
import type { RemoteAddress } from "../thread/store-api.ts";

export interface RemoteOptions {
  /** What is spoken: `connect` by default. Plain gRPC is not to be had in a page. */
  protocol?: "connect" | "grpc-web" | undefined;
  /** The names of the remote's services. `auto`, the default, finds out. */
  dialect?: "auto" | "tvix" | "snix" | undefined;
  /** In the place of the worker's own `fetch`. Called in the page, for each request. */
  fetch?: typeof globalThis.fetch | undefined;
  /** Sent with each request. */
  headers?: HeadersInit | undefined;
}

/** A daemon that a page can reach: where it is and how to talk to it. Connections are made by `Store.pull` and `Store.push`. */
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

  /**
   * @internal What the worker is told; made for one call, because a port can be sent once. `release` must be called when the call
   * has settled: the page's `fetch` answers it until then.
   */
  address(): { address: RemoteAddress; release(): void } {
    const address = { url: this.url, protocol: this.protocol, dialect: this.dialect, headers: this.#headers };
    if (!this.#fetch) return { address: { ...address, fetch: undefined }, release() {} };
    const { port1, port2 } = new MessageChannel();
    return { address: { ...address, fetch: port2 }, release: serveFetch(port1, this.#fetch) };
  }
}

/**
 * Names a remote daemon, for example `http://localhost:8000`; nothing is sent yet.
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
