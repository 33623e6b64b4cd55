import type { CastoreServices } from "../castore/services.ts";
import type { HashEngine } from "../hash/engine.ts";
import { parseHashPart } from "../nix/store-path.ts";
import type { OperationOptions } from "../progress.ts";
import { TaskPool } from "../task-pool.ts";
import type { BinaryCache } from "./binary-cache.ts";
import { closureOf, requirePathInfo } from "./closure.ts";
import type { PathInfoService } from "./path-info-service.ts";
import { addToPresent } from "./present.ts";
import type { CalculateNarThere, StoreServices } from "./services.ts";
import { findSubstitute, type Substitute, Substituter } from "./substituter.ts";
import { checkTrust, type TrustPolicy } from "./trust.ts";

export interface SubstituteOptions extends OperationOptions {
  readonly engine: HashEngine;
  readonly trust: TrustPolicy;
  /** Whether all that the paths refer to comes along; by default it does. */
  readonly closure?: boolean | undefined;
  /** How many NARs are read at a time; 4 if not given. */
  readonly concurrency?: number | undefined;
  /**
   * What the cache may have besides NARs. Of a path whose NARInfo names its content by a castore node, only what is missing is read,
   * from here; if that can't be, the NAR.
   */
  readonly castore?: CastoreServices | undefined;
  /** Where the store's copy is calculated, if not here: for a store that is far away. */
  readonly calculateNar?: CalculateNarThere | undefined;
  /** Is told each path, references before what refers to them, once it is there; those that were there before, too. */
  readonly onPath?: ((storePath: string) => void | Promise<void>) | undefined;
}

export interface SubstituteReport {
  /** Store paths that the store has now and had not before. */
  paths: number;
  /** Bytes of their NARs. */
  bytes: number;
  /** Store paths that were asked for and that the store had already. */
  reused: number;
}

const CONCURRENCY = 4;

/**
 * Imports store paths from a binary cache, as far as they are missing. Each NARInfo is looked at before any NAR is read, and one that
 * `trust` does not take ends all of it. A path shows up after those that it refers to, and when its NAR has the size and the hash that
 * were signed, and the content address where it has one. Progress: `reading`, in bytes of the NARs.
 *
 * @param storePaths absolute paths, base names or hash parts
 * @throws StoreError `not-found` if the cache lacks a path or a reference, `denied` for one that is not trusted, `corrupt` or `invalid`
 *   for what is not as it is promised, `conflict` if the store has one of the paths with other content
 */
export async function substitutePaths(
  store: StoreServices,
  cache: BinaryCache,
  storePaths: readonly string[],
  options: SubstituteOptions,
): Promise<SubstituteReport> {
  const { signal } = options;
  try {
    const source = { get: (hashPart: string) => findSubstitute(cache, hashPart, signal) };
    const wanted =
      options.closure === false
        ? await Promise.all(distinct(storePaths).map((storePath) => requirePathInfo(source, storePath, { signal })))
        : await closureOf(source, storePaths, { signal });
    for (const info of wanted) await checkTrust(info, options.trust);
    const missing = new Set(await addToPresent(store, wanted, signal));
    await importAll(store, cache, wanted, missing, options);
    return { paths: missing.size, bytes: sizeOf(missing), reused: wanted.length - missing.size };
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  }
}

/** Each path once, however it is written. */
function distinct(storePaths: readonly string[]): string[] {
  return [...new Map(storePaths.map((storePath) => [parseHashPart(storePath), storePath])).values()];
}

/** @param infos of which those that are not `missing` are there; references before what refers to them */
async function importAll(
  store: StoreServices,
  cache: BinaryCache,
  infos: readonly Substitute[],
  missing: ReadonlySet<Substitute>,
  { engine, castore, calculateNar, concurrency = CONCURRENCY, signal, onProgress, onPath }: SubstituteOptions,
): Promise<void> {
  const total = sizeOf(missing);
  let loaded = 0;
  // What fails ends the others.
  const failed = new AbortController();
  const abort = (): void => failed.abort(signal?.reason);
  if (signal?.aborted) abort();
  signal?.addEventListener("abort", abort);
  const imports = new Map<string, Promise<void>>();
  const substituter = new Substituter(cache, engine, castore, calculateNar);
  const pool = new TaskPool(concurrency);
  let told = Promise.resolve();
  try {
    for (const substitute of infos) {
      const { storePath, references } = substitute;
      const hashPart = parseHashPart(storePath);
      if (missing.has(substitute)) {
        await pool.run(async () => {
          const before = references.map((reference) => imports.get(parseHashPart(reference)));
          let read = 0;
          const work = substituter
            .import({ ...store, pathInfos: afterwards(store.pathInfos, before) }, substitute, {
              signal: failed.signal,
              onProgress: (progress) => {
                loaded += progress.loaded - read;
                read = progress.loaded;
                onProgress?.({ phase: "reading", loaded, total });
              },
            })
            .then(() => {});
          work.catch((error: unknown) => failed.abort(error));
          imports.set(hashPart, work);
          await work;
        });
      }
      if (!onPath) continue;
      const before = told;
      told = (async () => {
        await before;
        await imports.get(hashPart);
        failed.signal.throwIfAborted();
        await onPath(storePath);
      })();
      told.catch((error: unknown) => failed.abort(error));
    }
    await pool.finish();
    await told;
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}

function sizeOf(infos: Iterable<Substitute>): number {
  let size = 0;
  for (const { narSize } of infos) size += narSize;
  return size;
}

/** The same, in which a path shows up only when `before` have. */
function afterwards(pathInfos: PathInfoService, before: readonly (Promise<void> | undefined)[]): PathInfoService {
  return {
    get: (hashPart, options) => pathInfos.get(hashPart, options),
    list: (options) => pathInfos.list(options),
    async put(info, options) {
      await Promise.all(before);
      return pathInfos.put(info, options);
    },
  };
}
