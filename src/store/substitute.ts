import type { CastoreServices } from "../castore/services.ts";
import type { StoreError } from "../error.ts";
import type { HashEngine } from "../hash/engine.ts";
import { parseHashPart, STORE_DIR } from "../nix/store-path.ts";
import type { OperationOptions } from "../progress.ts";
import type { BinaryCache } from "./binary-cache.ts";
import { closureOf, pathInfosOf } from "./closure.ts";
import { type FailedPath, FailedPathsError, type PathsReport } from "./failed-paths.ts";
import { importSubstitutes } from "./import-substitutes.ts";
import { Outage } from "./outage.ts";
import { addToPresent } from "./present.ts";
import type { CalculateNarThere, StoreServices } from "./services.ts";
import { findSubstitute, type Substitute } from "./substituter.ts";
import { checkTrust, type TrustPolicy } from "./trust.ts";

export interface SubstituteOptions extends OperationOptions {
  readonly engine: HashEngine;
  readonly trust: TrustPolicy;
  /** Whether to import the closure of the paths; `true` by default. */
  readonly closure?: boolean | undefined;
  /** NARs read at a time; 4 by default. */
  readonly concurrency?: number | undefined;
  /**
   * Castore services that the cache may offer besides NARs. If a path's NARInfo names a castore
   * node, only the missing content is read, from these services. If that fails, the NAR is read.
   */
  readonly castore?: CastoreServices | undefined;
  /**
   * Calculates NARs at the remote that holds the store; by default, this thread calculates them
   * from the store's content.
   */
  readonly calculateNar?: CalculateNarThere | undefined;
  /**
   * Number of requests that the same import retried before this call; it is added to the report.
   */
  readonly retried?: number | undefined;
  /**
   * Called with each path once it is in the store, dependencies first. Paths that were there before
   * are included.
   */
  readonly onPath?: ((storePath: string) => void | Promise<void>) | undefined;
}

/** The result of an import from a binary cache. `bytes` counts the NARs of the new paths. */
export type SubstituteReport = PathsReport;

/**
 * Imports the store paths that the store lacks from a binary cache. It checks every NARInfo before
 * it reads any NAR. If `trust` refuses one, the whole import fails. A path becomes visible after
 * its dependencies, once its content matches the size, hash and content address in its NARInfo.
 * Progress: `reading`, in bytes of the NARs.
 *
 * A path that fails blocks only the paths that depend on it. In that case, the function rejects at
 * the end with a `FailedPathsError`, which contains the report. It settles when everything that it
 * started has ended.
 *
 * @param storePaths absolute paths, base names or hash parts
 * @throws FailedPathsError with the code of the first failure: `not-found` if the cache lacks a
 *   path or a NAR; `corrupt` or `invalid` if data does not match its NARInfo or is malformed;
 *   `unavailable` if the cache can't be read, despite retries
 * @throws StoreError before any NAR is read: `denied` if a path is not trusted; `conflict` if the
 *   store has one of the paths with other content; `invalid` if references form a cycle. Later:
 *   `quota` or `closed` if the store can't take more.
 */
export async function substitutePaths(
  store: StoreServices,
  cache: BinaryCache,
  storePaths: readonly string[],
  options: SubstituteOptions,
): Promise<SubstituteReport> {
  const { signal } = options;
  const report: SubstituteReport = { paths: 0, bytes: 0, reused: 0, retried: options.retried ?? 0, failed: 0 };
  const onRetry = (): void => {
    report.retried++;
  };
  try {
    const { infos, failures } = await findAll(store, cache, storePaths, options, onRetry, report);
    for (const info of infos) await checkTrust(info, options.trust);
    const missing = new Set(await addToPresent(store, infos, signal));
    report.reused += infos.length - missing.size;
    failures.push(...(await importSubstitutes(store, cache, infos, { ...options, missing, failures, onRetry, report })));
    report.failed = failures.length;
    if (failures.length > 0) throw new FailedPathsError(failures, report);
    return report;
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  }
}

interface FoundAll {
  /** Substitutes, dependencies first. */
  readonly infos: Substitute[];
  /** Failures of paths without a usable NARInfo. */
  readonly failures: FailedPath[];
}

async function findAll(
  store: StoreServices,
  cache: BinaryCache,
  storePaths: readonly string[],
  { closure, signal }: SubstituteOptions,
  onRetry: () => void,
  report: SubstituteReport,
): Promise<FoundAll> {
  const outage = new Outage(cache.url);
  const source = {
    name: cache.url,
    async get(hashPart: string, { signal }: { signal?: AbortSignal | undefined } = {}): Promise<Substitute | undefined> {
      const found = await findSubstitute(cache, hashPart, { signal, onRetry });
      outage.worked();
      return found;
    },
  };
  const failed: FailedPath[] = [];
  const onFailure = (storePath: string, error: StoreError): void => {
    outage.failed(error);
    if (outage.reason) throw outage.reason;
    failed.push({ storePath, error });
  };
  const find = closure === false ? pathInfosOf : closureOf;
  const infos = await find<Substitute>(source, storePaths, { signal, onFailure });
  const failures: FailedPath[] = [];
  for (const failure of failed) {
    const found = await store.pathInfos.get(parseHashPart(failure.storePath), { signal });
    // The store has the path, so it needs nothing from the cache.
    if (found?.storePath.includes(failure.storePath)) report.reused++;
    else failures.push({ ...failure, storePath: absolute(failure.storePath) });
  }
  return { infos, failures };
}

/** Makes a base name an absolute path; a hash part stays as it is. */
function absolute(storePath: string): string {
  return storePath.startsWith("/") || !storePath.includes("-") ? storePath : `${STORE_DIR}/${storePath}`;
}
