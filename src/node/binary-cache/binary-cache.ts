import { StoreError } from "../../error.ts";
import type { HashEngine } from "../../hash/engine.ts";
import { formatCacheInfo } from "../../nix/cache-info.ts";
import { narListingToJson } from "../../nix/nar-listing.ts";
import { NARINFO_MAX_LENGTH } from "../../nix/narinfo.ts";
import { checkStorePathName, parseStorePath, STORE_DIR } from "../../nix/store-path.ts";
import { type NarUrlScheme, renderNarInfo } from "../../store/nar-info.ts";
import { listNode } from "../../store/nar-listing.ts";
import type { PathInfo } from "../../store/path-info.ts";
import type { StoreServices } from "../../store/services.ts";
import { iterate } from "../../stream.ts";
import type { ServerAnswer, ServerRequest } from "../rpc/listener.ts";
import { ClaimedSizes } from "./claimed-size.ts";
import { type CacheResponse, Exchange } from "./exchange.ts";
import { narOfNode, uploadedNar } from "./nar-requests.ts";
import { parseNarName, receiveNar } from "./put-nar.ts";
import { receiveNarInfo } from "./put-nar-info.ts";
import type { CacheUploads } from "./uploads.ts";

export interface BinaryCacheOptions {
  readonly engine: HashEngine;
  readonly uploads: CacheUploads;
  /** Lower is asked first by Nix; 30 if not given. */
  readonly priority?: number | undefined;
  /** Of those who use the cache; `/nix/store` if not given. */
  readonly storeDir?: string | undefined;
  /** How NARInfo names the NARs; `tvix-castore` if not given. Both are answered. */
  readonly narUrls?: NarUrlScheme | undefined;
  /** Refuses every PUT. */
  readonly readOnly?: boolean | undefined;
  /** How long a client that is sending may be silent, in milliseconds; five minutes if not given. */
  readonly bodyTimeout?: number | undefined;
  /** Brings the content that was written to the disk. */
  readonly flush?: (() => Promise<void>) | undefined;
}

const DEFAULT_PRIORITY = 30;
/** Bytes of the longest log that is taken. */
const MAX_LOG = 256 * 1024 * 1024;
/** Bytes of the longest listing that is taken, which then is not looked at: ours is made of what is stored. */
const MAX_LISTING = 256 * 1024 * 1024;

/** What can be done at an address. */
interface Resource {
  get(exchange: Exchange): Promise<CacheResponse>;
  put?(exchange: Exchange): Promise<CacheResponse>;
}

/**
 * The store as a Nix binary cache over HTTP, to read from and to write to: `nix-cache-info`, `<hash part>.narinfo`, `<hash part>.ls`, `nar/...`,
 * `log/...`. The function answers whether the request was for one of these; if it wasn't, it was left alone.
 */
export function createBinaryCache(
  store: StoreServices,
  options: BinaryCacheOptions,
): (request: ServerRequest, answer: ServerAnswer) => boolean {
  const cache = new BinaryCacheResources(store, options);
  return (request, answer) => {
    const url = request.url ?? "/";
    const resource = cache.find(url) ?? (request.method === "PUT" ? unwanted(url) : undefined);
    if (!resource) return false;
    const exchange = new Exchange(request, answer, options.bodyTimeout);
    void exchange.answer(async () => {
      if (exchange.method === "GET" || exchange.method === "HEAD") return resource.get(exchange);
      if (exchange.method !== "PUT" || !resource.put)
        return { status: 405, headers: { allow: resource.put ? "GET, HEAD, PUT" : "GET, HEAD" } };
      if (options.readOnly) throw new StoreError("denied", "this binary cache is read-only");
      const coding = exchange.header("content-encoding") ?? "identity";
      // It would be kept as if it were what it stands for.
      if (coding.toLowerCase() !== "identity") {
        const headers = { "content-type": "text/plain; charset=utf-8", "accept-encoding": "identity" };
        return { status: 415, headers, body: `what is put must not be encoded: ${coding}\n` };
      }
      return resource.put(exchange);
    });
    return true;
  };
}

class BinaryCacheResources {
  readonly #store: StoreServices;
  readonly #options: BinaryCacheOptions;
  readonly #storeDir: string;
  readonly #sizes: ClaimedSizes;

  constructor(store: StoreServices, options: BinaryCacheOptions) {
    this.#store = store;
    this.#options = options;
    this.#storeDir = options.storeDir ?? STORE_DIR;
    this.#sizes = new ClaimedSizes(store);
  }

  find(url: string): Resource | undefined {
    const path = url.split(/[?#]/, 1)[0] as string;
    if (path === "/nix-cache-info") return { get: async () => this.#info() };
    const [, hashPart, kind] = /^\/([0-9abcdfghijklmnpqrsvwxyz]{32})\.(narinfo|ls)$/.exec(path) ?? [];
    if (hashPart !== undefined) return kind === "ls" ? this.#listing(hashPart) : this.#narInfo(hashPart);
    const [, encoded] = /^\/nar\/(?:tvix|snix)-castore\/([^/]*)$/.exec(path) ?? [];
    if (encoded !== undefined) return { get: (exchange) => narOfNode(this.#store, this.#sizes, exchange, encoded) };
    const [, name] = /^\/nar\/([^/]+)$/.exec(path) ?? [];
    if (name !== undefined && parseNarName(name)) return this.#uploadedNar(name);
    const [, log] = /^\/log\/([^/]+)$/.exec(path) ?? [];
    return log === undefined ? undefined : this.#log(log);
  }

  #info(): CacheResponse {
    const { priority = DEFAULT_PRIORITY } = this.#options;
    const body = formatCacheInfo({ storeDir: this.#storeDir, wantMassQuery: true, priority });
    return { status: 200, headers: { "content-type": "text/x-nix-cache-info" }, body };
  }

  #narInfo(hashPart: string): Resource {
    const { engine, uploads, narUrls } = this.#options;
    return {
      get: async ({ signal }) => {
        const info = await this.#require(hashPart, signal);
        const body = renderNarInfo(info, { urls: narUrls, storeDir: this.#storeDir });
        // Signatures come later.
        return { status: 200, headers: { "content-type": "text/x-nix-narinfo", "cache-control": "no-cache" }, body };
      },
      put: async (exchange) => {
        const { signal } = exchange;
        const text = await exchange.text(NARINFO_MAX_LENGTH);
        await receiveNarInfo(this.#store, hashPart, text, { engine, uploads, storeDir: this.#storeDir, signal });
        return { status: 201 };
      },
    };
  }

  #listing(hashPart: string): Resource {
    return {
      get: async ({ signal }) => {
        const { node } = await this.#require(hashPart, signal);
        const body = narListingToJson(await listNode(this.#store, node, { signal }));
        return { status: 200, headers: { "content-type": "application/json", "cache-control": "no-cache" }, body };
      },
      put: async (exchange) => {
        for await (const _ of exchange.bodyUpTo(MAX_LISTING));
        return { status: 201 };
      },
    };
  }

  #uploadedNar(name: string): Resource {
    const { engine, uploads } = this.#options;
    return {
      get: async (exchange) => {
        const nar = await uploads.nar(name);
        if (!nar) throw new StoreError("not-found", `no NAR was uploaded as ${name}`);
        return uploadedNar(this.#store, exchange, nar);
      },
      put: async (exchange) => {
        const parsed = parseNarName(name);
        if (!parsed) throw new StoreError("invalid", `not the name of a NAR: ${name}`);
        const nar = await receiveNar(this.#store, engine, exchange.body(), { ...parsed, signal: exchange.signal });
        await this.#options.flush?.();
        await uploads.putNar(name, nar);
        return { status: 201 };
      },
    };
  }

  #log(name: string): Resource {
    const { uploads } = this.#options;
    return {
      get: async ({ method, signal }) => {
        const log = await uploads.log(derivationName(name));
        if (!log) throw new StoreError("not-found", `there is no log of ${name}`);
        const headers = {
          "content-type": "text/plain; charset=utf-8",
          "content-length": String(log.size),
          "cache-control": "no-cache",
        };
        if (method === "HEAD") return { status: 200, headers };
        const stream = await this.#store.blobs.open(log.digest, { signal });
        if (!stream) throw new StoreError("not-found", `the log of ${name} is not in the store any more`);
        return { status: 200, headers, body: iterate(stream, signal) };
      },
      put: async (exchange) => {
        const derivation = derivationName(name);
        const writer = await this.#store.blobs.create({ signal: exchange.signal });
        try {
          for await (const piece of exchange.bodyUpTo(MAX_LOG)) await writer.write(piece);
        } catch (error) {
          await writer.abort(error);
          throw error;
        }
        const blob = await writer.close();
        await this.#options.flush?.();
        await uploads.putLog(derivation, blob);
        return { status: 201 };
      },
    };
  }

  async #require(hashPart: string, signal: AbortSignal): Promise<PathInfo> {
    const info = await this.#store.pathInfos.get(hashPart, { signal });
    if (!info) throw new StoreError("not-found", `the store has no path ${hashPart}`);
    return info;
  }
}

/** What Nix may well put here, and is told why it can't. */
function unwanted(url: string): Resource | undefined {
  const [path, kind] = /^\/(nar|debuginfo|realisations)\/[^?#]+/.exec(url) ?? [];
  if (kind === undefined) return undefined;
  const reason =
    kind === "nar" ? "a NAR is taken as <hash>.nar, .nar.xz, .nar.zst, .nar.gz or .nar.bz2" : `this binary cache keeps no ${kind}`;
  const refuse = async (): Promise<never> => {
    throw new StoreError("invalid", `${reason}: ${path}`);
  };
  return { get: refuse, put: refuse };
}

/** @throws StoreError `invalid` for what is not a derivation's base name */
function derivationName(text: string): string {
  const { name } = parseStorePath(text);
  checkStorePathName(name);
  if (!name.endsWith(".drv")) throw new StoreError("invalid", `not a derivation: ${text}`);
  return text;
}
