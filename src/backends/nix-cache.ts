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
  /** Services at the cache's address, if there may be any: content that a NARInfo names by its node is copied from there. */
  readonly castore?: CastoreServices | undefined;
  /** Where the content is calculated, if not here. */
  readonly calculateNar?: CalculateNarThere | undefined;
}

interface Abortable {
  signal?: AbortSignal | undefined;
}

/** An import that is under way, for all who wait for it. */
interface Import {
  readonly info: Promise<PathInfo | undefined>;
  readonly stop: AbortController;
  waiting: number;
}

/** Path infos that are remembered: some 10 MB. What is forgotten is imported again when it is asked for. */
const MAX_KNOWN = 10_000;

/**
 * A Nix binary cache as a PathInfoService: asking for a path imports its content, checked, into castore services that are elsewhere. The
 * paths that it refers to come when they are asked for. It can only be read, and does not list what it has.
 */
export class NixCachePathInfoService implements PathInfoService {
  readonly #cache: BinaryCache;
  readonly #content: CastoreServices;
  readonly #trust: TrustPolicy;
  readonly #substituter: Substituter;
  /** Least recently used first. */
  readonly #known = new Map<string, PathInfo>();
  readonly #underWay = new Map<string, Import>();
  #isCache: Promise<unknown> | undefined;

  /** @param content gets what is imported */
  constructor(cache: BinaryCache, content: CastoreServices, { engine, trust, castore, calculateNar }: NixCacheOptions) {
    this.#cache = cache;
    this.#content = content;
    this.#trust = trust;
    this.#substituter = new Substituter(cache, engine, castore, calculateNar);
  }

  /**
   * @throws StoreError `denied` for a path that is not trusted, `corrupt` or `invalid` for what is not as it is promised, `unavailable` if
   *   the cache is not there
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
      // The last one who gives up ends it; to end what is over changes nothing.
      if (--shared.waiting === 0) {
        this.#leave(wanted, shared);
        shared.stop.abort(signal?.reason);
        // Nothing of it goes on when the last one is told.
        await shared.info.catch(() => {});
      }
    }
  }

  async put(info: PathInfo): Promise<PathInfo> {
    throw new StoreError("denied", `${info.storePath} can't be written to ${this.#cache.url}: a binary cache is only read here`);
  }

  list(): AsyncIterable<PathInfo> {
    const next = async (): Promise<never> => {
      throw new StoreError("denied", `${this.#cache.url} can't be listed: a binary cache doesn't tell what it has`);
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

  /** Once: that there is a cache, and that it is for this store directory. */
  #checkCache(): Promise<unknown> {
    this.#isCache ??= this.#cache.info().catch((error: unknown) => {
      this.#isCache = undefined;
      // That would say that the path is missing.
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

/** What is imported is answered, and kept nowhere else. */
const UNPUBLISHED: PathInfoService = {
  get: async () => undefined,
  put: async (info) => info,
  async *list() {},
};
