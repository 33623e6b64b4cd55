import "../brotli.ts";
import { quote } from "../../bytes.ts";
import { StoreError } from "../../error.ts";
import type { HashEngine } from "../../hash/engine.ts";
import { formatCacheInfo } from "../../nix/cache-info.ts";
import { NARINFO_MAX_LENGTH } from "../../nix/narinfo.ts";
import { REALISATION_MAX_LENGTH } from "../../nix/realisation.ts";
import { STORE_DIR } from "../../nix/store-path.ts";
import { type NarUrlScheme, renderNarInfo } from "../../store/nar-info.ts";
import type { PathInfo } from "../../store/path-info.ts";
import type { StoreServices } from "../../store/services.ts";
import { ANYONE, type Caller } from "../permissions.ts";
import type { ServerAnswer, ServerRequest } from "../server-request.ts";
import { type TransferOptions, UPLOAD_MEMORY } from "../transfer.ts";
import { pathSegments } from "./address.ts";
import { ClaimedSizes } from "./claimed-size.ts";
import { checkDebugInfo, DEBUG_INFO_MAX_LENGTH, isDebugInfoName } from "./debug-info.ts";
import { type CacheResponse, Exchange } from "./exchange.ts";
import { sendListing } from "./listings.ts";
import { derivationName, logName, receiveLog, sendLog } from "./logs.ts";
import { narOfNode, uploadedNar } from "./nar-requests.ts";
import { OneAtATime } from "./one-at-a-time.ts";
import { NAR_SUFFIXES, parseNarName, receiveNar } from "./put-nar.ts";
import { receiveNarInfo } from "./put-nar-info.ts";
import { type RealisationAddress, realisationAddress, receiveRealisation } from "./realisations.ts";
import { type Commit, failedCondition, getFrom, type Resource, refusedCoding } from "./resource.ts";
import type { CacheUploads } from "./uploads.ts";

export interface BinaryCacheOptions {
  readonly engine: HashEngine;
  readonly uploads: CacheUploads;
  /** Priority of this cache: Nix asks caches with lower values first; 30 by default. */
  readonly priority?: number | undefined;
  /** Store directory of the cache's clients; `/nix/store` by default. */
  readonly storeDir?: string | undefined;
  /**
   * Form of the NAR URLs in NARInfo; `tvix-castore` by default. Requests for both forms are
   * answered.
   */
  readonly narUrls?: NarUrlScheme | undefined;
  /** Returns the caller of a request. By default, every caller may read and write. */
  readonly authorize?: ((request: ServerRequest) => Caller) | undefined;
  /** Maximum size of an uploaded NAR, uncompressed, in bytes; 1 TiB by default. */
  readonly maxNarSize?: number | undefined;
  /** Time limit for stalled clients, and memory budget of all requests. */
  readonly transfer?: TransferOptions | undefined;
}

const DEFAULT_PRIORITY = 30;
export const DEFAULT_MAX_NAR_SIZE: number = 1024 ** 4;
/** Maximum size of a log, in bytes. */
const MAX_LOG = 256 * 1024 * 1024;
/** Maximum size of an uploaded listing, in bytes. Its content is ignored. */
const MAX_LISTING = 256 * 1024 * 1024;

/**
 * Serves the store as a Nix binary cache over HTTP, for reading and writing: `nix-cache-info`,
 * `<hash part>.narinfo`, `<hash part>.ls`, `nar/...`, `log/...`, `realisations/...`,
 * `build-trace-v2/...`, `debuginfo/...`. The function returns whether the request was for one of
 * these addresses. It doesn't touch other requests.
 */
export function createBinaryCache(
  store: StoreServices,
  options: BinaryCacheOptions,
): (request: ServerRequest, answer: ServerAnswer) => boolean {
  const cache = new BinaryCacheResources(store, options);
  const writes = new OneAtATime();
  return (request, answer) => {
    const url = request.url ?? "/";
    const segments = pathSegments(url);
    if (!segments) return false;
    const resource = cache.find(segments, url) ?? (request.method === "PUT" ? unwanted(segments) : undefined);
    if (!resource) return false;
    const exchange = new Exchange(request, answer, options.transfer);
    const caller = options.authorize?.(request) ?? ANYONE;
    void exchange.answer(async () => {
      caller.require("read");
      if (exchange.method === "GET" || exchange.method === "HEAD") return getFrom(resource, exchange);
      if (exchange.method !== "PUT" || !resource.put)
        return { status: 405, headers: { allow: resource.put ? "GET, HEAD, PUT" : "GET, HEAD" } };
      caller.require("write");
      const commit: Commit = (write) =>
        writes.run(resource.name, async () => {
          const failed = await failedCondition(resource, exchange);
          if (!failed) await write();
          return failed ?? { status: 201 };
        });
      // If the condition fails now, the client doesn't need to send the body.
      return refusedCoding(resource, exchange) ?? (await failedCondition(resource, exchange)) ?? resource.put(exchange, commit);
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

  /**
   * @param url target of the request, from which the segments were split
   */
  find(segments: readonly string[], url: string): Resource | undefined {
    const [first = "", second = "", third = ""] = segments;
    if (segments.length === 1) {
      if (first === "nix-cache-info") return { name: first, get: async () => this.#info() };
      const [, hashPart, kind] = /^([0-9abcdfghijklmnpqrsvwxyz]{32})\.(narinfo|ls)$/.exec(first) ?? [];
      if (hashPart !== undefined) return kind === "ls" ? this.#listing(hashPart) : this.#narInfo(hashPart);
    }
    if (segments.length === 2) {
      if (first === "nar" && parseNarName(second)) return this.#uploadedNar(second);
      if (first === "log") return this.#log(logName(second, url));
      if (first === "debuginfo" && isDebugInfoName(second)) return this.#debugInfo(second);
    }
    if (segments.length === 3 && first === "nar" && (second === "tvix-castore" || second === "snix-castore"))
      return { name: segments.join("/"), get: (exchange, isHead) => narOfNode(this.#store, this.#sizes, exchange, third, isHead) };
    const realisation = realisationAddress(segments);
    return realisation && this.#realisation(realisation);
  }

  #info(): CacheResponse {
    const { priority = DEFAULT_PRIORITY } = this.#options;
    const body = formatCacheInfo({ storeDir: this.#storeDir, wantMassQuery: true, priority });
    return { status: 200, headers: { "content-type": "text/x-nix-cache-info" }, body };
  }

  #narInfo(hashPart: string): Resource {
    const { engine, uploads, narUrls } = this.#options;
    return {
      name: `${hashPart}.narinfo`,
      get: async ({ signal }) => {
        const info = await this.#require(hashPart, signal);
        const body = renderNarInfo(info, { urls: narUrls, storeDir: this.#storeDir });
        // Signatures can be added later, so clients must revalidate.
        return { status: 200, headers: { "content-type": "text/x-nix-narinfo", "cache-control": "no-cache" }, body };
      },
      put: async (exchange, commit) => {
        const { signal } = exchange;
        const text = await exchange.text(NARINFO_MAX_LENGTH);
        const options = { engine, uploads, storeDir: this.#storeDir, signal };
        return commit(() => receiveNarInfo(this.#store, hashPart, text, options));
      },
    };
  }

  #listing(hashPart: string): Resource {
    return {
      name: `${hashPart}.ls`,
      coding: "any",
      get: async (exchange) => {
        const { node } = await this.#require(hashPart, exchange.signal);
        return sendListing(this.#store, node, exchange);
      },
      put: async (exchange, commit) => {
        for await (const _ of exchange.bodyUpTo(MAX_LISTING));
        return commit(async () => {});
      },
    };
  }

  #uploadedNar(name: string): Resource {
    const { engine, uploads, maxNarSize = DEFAULT_MAX_NAR_SIZE } = this.#options;
    return {
      name: `nar/${name}`,
      // The name tells the compression of the NAR.
      coding: "identity",
      get: async (exchange, isHead) => {
        const nar = await uploads.nar(name);
        if (!nar) throw new StoreError("not-found", `no NAR was uploaded as ${name}`);
        return uploadedNar(this.#store, exchange, name, nar, isHead);
      },
      put: async (exchange, commit) => {
        const parsed = parseNarName(name);
        if (!parsed) throw new StoreError("invalid", `${name} is not the name of a NAR`);
        await exchange.reserve(UPLOAD_MEMORY);
        const nar = await receiveNar(this.#store, engine, exchange.body(), {
          ...parsed,
          maxNarSize,
          signal: exchange.signal,
          pace: exchange.pace,
        });
        return commit(() => uploads.putNar(name, nar));
      },
    };
  }

  #log(name: string): Resource {
    const { uploads } = this.#options;
    return {
      name: `log/${name}`,
      get: (exchange, isHead) => sendLog(this.#store, uploads, exchange, name, isHead),
      put: async (exchange, commit) => {
        const derivation = derivationName(name);
        await exchange.reserve(UPLOAD_MEMORY);
        const blob = await receiveLog(this.#store, exchange.content(MAX_LOG), exchange.signal);
        return commit(() => uploads.putLog(derivation, blob));
      },
    };
  }

  #realisation(address: RealisationAddress): Resource {
    const { uploads } = this.#options;
    return {
      name: address.name,
      get: async () => this.#text(address.name),
      put: async (exchange, commit) => {
        const text = await exchange.text(REALISATION_MAX_LENGTH);
        return commit(() => receiveRealisation(uploads, address, text));
      },
    };
  }

  #debugInfo(buildId: string): Resource {
    const name = `debuginfo/${buildId}`;
    return {
      name,
      get: async () => this.#text(name),
      put: async (exchange, commit) => {
        const text = await exchange.text(DEBUG_INFO_MAX_LENGTH);
        checkDebugInfo(text);
        // Replaces the earlier text: it may name a NAR that no longer exists.
        return commit(() => this.#options.uploads.updateText(name, () => text));
      },
    };
  }

  /** Answers with JSON that a client has put, byte for byte. */
  async #text(name: string): Promise<CacheResponse> {
    const text = await this.#options.uploads.text(name);
    if (text === undefined) throw new StoreError("not-found", `the cache has no ${name}`);
    return json(text);
  }

  async #require(hashPart: string, signal: AbortSignal): Promise<PathInfo> {
    const info = await this.#store.pathInfos.get(hashPart, { signal });
    if (!info) throw new StoreError("not-found", `the store has no path ${hashPart}`);
    return info;
  }
}

function json(body: string): CacheResponse {
  return { status: 200, headers: { "content-type": "application/json", "cache-control": "no-cache" }, body };
}

/**
 * Returns a resource that refuses a PUT and tells the expected form, if the address belongs to
 * binary caches but is malformed.
 */
function unwanted(segments: readonly string[]): Resource | undefined {
  const [kind = "", ...rest] = segments;
  const form = FORMS.get(kind);
  if (form === undefined || rest.length === 0) return undefined;
  const refuse = async (): Promise<never> => {
    throw new StoreError("invalid", `can't accept ${quote(segments.join("/"))}: the form is ${form}`);
  };
  return { name: segments.join("/"), coding: "any", get: refuse, put: refuse };
}

const FORMS: ReadonlyMap<string, string> = new Map([
  ["nar", `nar/<SHA-256 of the file>.nar, or with one of ${NAR_SUFFIXES.join(", ")}`],
  ["debuginfo", "debuginfo/<build id>.debug"],
  ["realisations", "realisations/<id>.doi"],
  ["build-trace-v2", "build-trace-v2/<derivation>/<output>.doi"],
]);
