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
  /** Whether all that the paths refer to comes along; by default it does. */
  readonly closure?: boolean | undefined;
  /** How many NARs are read at a time; 4 if not given. */
  readonly concurrency?: number | undefined;
  /**
   * Services that the cache may have besides NARs. Of a path whose NARInfo names its content by a
   * castore node, only what is missing is read, from here; if that can't be, the NAR.
   */
  readonly castore?: CastoreServices | undefined;
  /** Where the store's copy is calculated, if not here: for a store that is far away. */
  readonly calculateNar?: CalculateNarThere | undefined;
  /** Requests of the same import that were repeated before. */
  readonly retried?: number | undefined;
  /**
   * Called with each path once it is there, references before what refers to them; with those that
   * were there before, too.
   */
  readonly onPath?: ((storePath: string) => void | Promise<void>) | undefined;
}

/** What an import from a binary cache did. `bytes` are those of the NARs of the new paths. */
export type SubstituteReport = PathsReport;

/**
 * Imports store paths from a binary cache, as far as they are missing. Each NARInfo is looked at
 * before any NAR is read, and one that `trust` does not take ends all of it. A path shows up after
 * those that it refers to, and when its NAR has the size and the hash that were signed, and the
 * content address where it has one. Progress: `reading`, in bytes of the NARs.
 *
 * A path that fails leaves out those that refer to it, and no others. At the end it rejects with a
 * `FailedPathsError` then, which has the report. It settles when all that it began has ended.
 *
 * @param storePaths absolute paths, base names or hash parts
 * @throws FailedPathsError with the code of the first failure: `not-found` if the cache lacks a
 *   path or a NAR, `corrupt` or `invalid` for what is not as it is promised, `unavailable` if the
 *   cache can't be read, whatever the tries
 * @throws StoreError before any NAR is read: `denied` for a path that is not trusted, `conflict` if
 *   the store has one of the paths with other content, `invalid` for references in a circle; later
 *   `quota` or `closed` if the store takes nothing more
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
  /** References before what refers to them. */
  readonly infos: Substitute[];
  /** Of paths without a NARInfo that makes sense. */
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
    // The store needs nothing from the cache then.
    if (found?.storePath.includes(failure.storePath)) report.reused++;
    else failures.push({ ...failure, storePath: absolute(failure.storePath) });
  }
  return { infos, failures };
}

/** A base name as an absolute path; a hash part stays as it is. */
function absolute(storePath: string): string {
  return storePath.startsWith("/") || !storePath.includes("-") ? storePath : `${STORE_DIR}/${storePath}`;
}
