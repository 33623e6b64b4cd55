import { isStoreError, StoreError, type StoreErrorCode } from "../error.ts";
import { parseHashPart } from "../nix/store-path.ts";
import { onAbort } from "../on-abort.ts";
import { TaskPool } from "../task-pool.ts";
import type { BinaryCache } from "./binary-cache.ts";
import type { FailedPath, PathsReport } from "./failed-paths.ts";
import { Outage } from "./outage.ts";
import { publishAfter } from "./publish-after.ts";
import type { StoreServices } from "./services.ts";
import type { SubstituteOptions } from "./substitute.ts";
import { type Substitute, Substituter } from "./substituter.ts";

export interface ImportSubstitutesOptions extends SubstituteOptions {
  /** The paths that the store lacks. */
  readonly missing: ReadonlySet<Substitute>;
  /** Failures of other paths, known before the import starts. */
  readonly failures: readonly FailedPath[];
  readonly onRetry: () => void;
  /** Counters that the import increases: paths added, and the bytes of their NARs. */
  readonly report: PathsReport;
}

const CONCURRENCY = 4;

/** Failures of the store itself, which would make every path fail. */
const STORE_FAILED: readonly StoreErrorCode[] = ["quota", "closed"];

/**
 * Imports the NARs of those `infos` that are missing. A path that fails blocks only the paths that
 * depend on it.
 *
 * @param infos dependencies first
 * @returns the failed paths, in the order of `infos`
 * @throws `signal.reason`, the error that `onPath` throws, or the failure of the store. By then,
 *   all that was started has ended.
 */
export async function importSubstitutes(
  store: StoreServices,
  cache: BinaryCache,
  infos: readonly Substitute[],
  options: ImportSubstitutesOptions,
): Promise<FailedPath[]> {
  const run = new Run(store, cache, infos, options);
  const { signal } = options;
  const unlink = onAbort(signal, () => run.stop(signal?.reason));
  try {
    return await run.all();
  } finally {
    unlink();
  }
}

/** `undefined` if the path is in the store now. */
type Outcome = FailedPath | undefined;

class Run {
  readonly #store: StoreServices;
  readonly #infos: readonly Substitute[];
  readonly #options: ImportSubstitutesOptions;
  readonly #substituter: Substituter;
  readonly #outage: Outage;
  readonly #total: number;
  #loaded = 0;
  readonly #stopped = new AbortController();
  /** Outcomes of the paths whose import was started, by hash part. They never reject. */
  readonly #outcomes = new Map<string, Promise<Outcome>>();
  /** Failed paths, by hash part. */
  readonly #failed = new Map<string, FailedPath>();

  constructor(store: StoreServices, cache: BinaryCache, infos: readonly Substitute[], options: ImportSubstitutesOptions) {
    this.#store = store;
    this.#infos = infos;
    this.#options = options;
    this.#substituter = new Substituter(cache, options.engine, options.castore, options.calculateNar);
    this.#outage = new Outage(cache.url);
    let total = 0;
    for (const { narSize } of options.missing) total += narSize;
    this.#total = total;
    for (const failure of options.failures) this.#failed.set(parseHashPart(failure.storePath), failure);
  }

  /** Aborts the whole import. */
  stop(reason: unknown): void {
    this.#stopped.abort(reason);
  }

  async all(): Promise<FailedPath[]> {
    const { missing, concurrency = CONCURRENCY } = this.#options;
    const pool = new TaskPool(concurrency);
    let told = Promise.resolve();
    for (const substitute of this.#infos) {
      if (this.#stopped.signal.aborted) break;
      if (missing.has(substitute)) {
        await pool.run(async () => {
          const outcome = this.#path(substitute);
          this.#outcomes.set(parseHashPart(substitute.storePath), outcome);
          await outcome;
        });
      }
      told = this.#tell(told, substitute);
    }
    await pool.finish();
    await told;
    this.#stopped.signal.throwIfAborted();
    return this.#infos.flatMap(({ storePath }) => this.#failed.get(parseHashPart(storePath)) ?? []);
  }

  /**
   * Calls `onPath` in the order of the paths. Never rejects: an error that `onPath` throws aborts
   * the whole import.
   */
  async #tell(before: Promise<void>, { storePath }: Substitute): Promise<void> {
    const outcome = this.#outcomes.get(parseHashPart(storePath));
    await before;
    if ((await outcome) || this.#stopped.signal.aborted) return;
    try {
      await this.#options.onPath?.(storePath);
    } catch (error) {
      this.stop(error);
    }
  }

  /** Imports one path, unless it depends on a failed one or the server is gone. Never rejects. */
  async #path(substitute: Substitute): Promise<Outcome> {
    const { storePath, references } = substitute;
    const hashParts = references.map((reference) => parseHashPart(reference));
    const blocking = hashParts.map((hashPart) => this.#failed.get(hashPart)).find((failure) => failure);
    if (blocking) return this.#fail(blockedBy(storePath, blocking));
    const { reason } = this.#outage;
    if (reason) return this.#fail({ storePath, error: reason });
    const before = hashParts.flatMap((hashPart) => this.#outcomes.get(hashPart) ?? []);
    try {
      const blocked = await this.#import(substitute, before);
      if (blocked) return this.#fail(blockedBy(storePath, blocked));
      this.#outage.worked();
      return undefined;
    } catch (error) {
      if (!isStoreError(error) || STORE_FAILED.includes(error.code)) this.stop(error);
      const failure = isStoreError(error) ? error : new StoreError("internal", `importing ${storePath} failed`, { cause: error });
      this.#outage.failed(failure);
      return this.#fail({ storePath, error: failure });
    }
  }

  #fail(failure: FailedPath): FailedPath {
    this.#failed.set(parseHashPart(failure.storePath), failure);
    return failure;
  }

  /** @returns the failure of a dependency, if one ended this import */
  async #import(substitute: Substitute, before: readonly Promise<Outcome>[]): Promise<Outcome> {
    const { report, onProgress, onRetry } = this.#options;
    const { signal: stopped } = this.#stopped;
    const ended = new AbortController();
    const signal = AbortSignal.any([stopped, ended.signal]);
    let blocked: Outcome;
    for (const reference of before) {
      reference.then((failure) => {
        blocked ??= failure;
        if (failure) ended.abort(failure.error);
      });
    }
    let read = 0;
    try {
      const pathInfos = publishAfter(this.#store.pathInfos, async () => {
        await Promise.all(before);
        // If one of them failed, the signal is aborted.
        signal.throwIfAborted();
      });
      await this.#substituter.import({ ...this.#store, pathInfos }, substitute, {
        signal,
        onRetry,
        onProgress: ({ loaded }) => {
          this.#loaded += loaded - read;
          read = loaded;
          onProgress?.({ phase: "reading", unit: "bytes", loaded: this.#loaded, total: this.#total });
        },
      });
      report.paths++;
      report.bytes += substitute.narSize;
      return undefined;
    } catch (error) {
      if (!blocked || stopped.aborted) throw error;
      return blocked;
    }
  }
}

function blockedBy(storePath: string, { storePath: reference, error, because }: FailedPath): FailedPath {
  const message = `${storePath} was not imported, because its dependency ${reference} failed`;
  // The cause is the first failure, however long the chain of references is.
  const cause = because === undefined ? error : error.cause;
  return { storePath, error: new StoreError(error.code, message, { cause }), because: because ?? reference };
}
