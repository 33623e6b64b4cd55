import type { CastoreServices } from "../castore/services.ts";
import { isStoreError, StoreError } from "../error.ts";
import type { HashEngine } from "../hash/engine.ts";
import { parseHashPart } from "../nix/store-path.ts";
import type { BinaryCache } from "../store/binary-cache.ts";
import type { PathInfo } from "../store/path-info.ts";
import type { PathInfoService } from "../store/path-info-service.ts";
import type { CalculateNarThere } from "../store/services.ts";
import { findSubstitute, Substituter } from "../store/substituter.ts";
import { checkTrust, type TrustPolicy } from "../store/trust.ts";
import { untilAborted } from "../until-aborted.ts";

export interface NixCacheOptions {
  readonly engine: HashEngine;
  readonly trust: TrustPolicy;
  /**
   * Castore services at the cache's address, which the cache may lack. If the URL in a NARInfo
   * contains the content's node, the content is copied from these services.
   */
  readonly castore?: CastoreServices | undefined;
  /**
   * Calculates NARs at the remote that stores the content; by default, this thread calculates them.
   */
  readonly calculateNar?: CalculateNarThere | undefined;
}

interface Abortable {
  signal?: AbortSignal | undefined;
}

/** A running import, shared by all callers that wait for it. */
interface Import {
  readonly info: Promise<PathInfo | undefined>;
  readonly stop: AbortController;
  waiting: number;
}

/**
 * Maximum number of path infos kept in memory, some 10 MB. A forgotten path is imported again when
 * a caller asks for it.
 */
const MAX_KNOWN = 10_000;

/**
 * A Nix binary cache as a PathInfoService. `get` verifies the content of a path and imports it into
 * other castore services. It imports dependencies only when a caller asks for them. The service is
 * read-only and can't list its paths.
 */
export class NixCachePathInfoService implements PathInfoService {
  readonly #cache: BinaryCache;
  readonly #content: CastoreServices;
  readonly #trust: TrustPolicy;
  readonly #substituter: Substituter;
  /** Path infos by hash part, from least to most recently used. */
  readonly #known = new Map<string, PathInfo>();
  readonly #underWay = new Map<string, Import>();
  #isCache: Promise<unknown> | undefined;

  /** @param content receives the imported content */
  constructor(cache: BinaryCache, content: CastoreServices, { engine, trust, castore, calculateNar }: NixCacheOptions) {
    this.#cache = cache;
    this.#content = content;
    this.#trust = trust;
    this.#substituter = new Substituter(cache, engine, castore, calculateNar);
  }

  /**
   * @throws StoreError `denied` if the path is not trusted; `corrupt` or `invalid` if the content
   *   does not match its NARInfo, or if the NARInfo is malformed; `unavailable` if the cache can't
   *   be reached
   */
  async get(hashPart: string, { signal }: Abortable = {}): Promise<PathInfo | undefined> {
    signal?.throwIfAborted();
    const wanted = parseHashPart(hashPart);
    const known = this.#known.get(wanted);
    if (known) {
      this.#remember(wanted, known);
      return known;
    }
    const shared = this.#underWay.get(wanted) ?? this.#begin(wanted);
    shared.waiting++;
    try {
      return await untilAborted(shared.info, signal);
    } finally {
      // The last caller to leave aborts the import. Aborting a finished import has no effect.
      if (--shared.waiting === 0) {
        this.#leave(wanted, shared);
        shared.stop.abort(signal?.reason);
        // Wait, so that the import is over when its last caller is told.
        await shared.info.catch(() => {});
      }
    }
  }

  async put(info: PathInfo): Promise<PathInfo> {
    throw new StoreError(
      "denied",
      `${info.storePath} can't be written to ${this.#cache.url}: this connection to a binary cache is read-only`,
    );
  }

  list(): AsyncIterable<PathInfo> {
    const next = async (): Promise<never> => {
      throw new StoreError("denied", `${this.#cache.url} can't be listed: a binary cache has no list of its store paths`);
    };
    return { [Symbol.asyncIterator]: () => ({ next }) };
  }

  #begin(wanted: string): Import {
    const stop = new AbortController();
    const shared: Import = { info: this.#import(wanted, stop.signal), stop, waiting: 0 };
    this.#underWay.set(wanted, shared);
    const over = (): void => this.#leave(wanted, shared);
    shared.info.then(over, over);
    return shared;
  }

  #leave(wanted: string, shared: Import): void {
    if (this.#underWay.get(wanted) === shared) this.#underWay.delete(wanted);
  }

  async #import(wanted: string, signal: AbortSignal): Promise<PathInfo | undefined> {
    await this.#checkCache();
    const substitute = await findSubstitute(this.#cache, wanted, { signal });
    if (!substitute) return undefined;
    await checkTrust(substitute, this.#trust);
    const info = await this.#substituter.import({ ...this.#content, pathInfos: UNPUBLISHED }, substitute, { signal });
    this.#remember(wanted, info);
    return info;
  }

  /** Checks once that there is a cache and that it is for this store directory. */
  #checkCache(): Promise<unknown> {
    this.#isCache ??= this.#cache.info().catch((error: unknown) => {
      this.#isCache = undefined;
      // `not-found` would say that the store path is missing.
      if (isStoreError(error, "not-found")) throw new StoreError("unavailable", error.message, { cause: error });
      throw error;
    });
    return this.#isCache;
  }

  #remember(hashPart: string, info: PathInfo): void {
    this.#known.delete(hashPart);
    this.#known.set(hashPart, info);
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= MAX_KNOWN) break;
      this.#known.delete(oldest);
    }
  }
}

/** Returns the imported path info without storing it. */
const UNPUBLISHED: PathInfoService = {
  get: async () => undefined,
  put: async (info) => info,
  async *list() {},
};
