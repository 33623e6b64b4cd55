import type { OperationOptions } from "../progress.ts";
import type { PathInfo } from "../store/path-info.ts";
import type { SubstituteReport } from "../store/substitute.ts";
import type { SyncReport } from "../store/sync.ts";
import { iterate } from "../stream.ts";
import type { BinaryCacheImport, SyncOptions } from "../thread/sync-api.ts";
import type { Remote } from "./remote.ts";
import { StoreImports } from "./store-imports.ts";

/** The methods of a `Store` that copy store paths from or to another machine. */
export class StoreSync extends StoreImports {
  /** Yields the PathInfos of all store paths of a remote. */
  async *remotePathInfos(remote: Remote, options: { signal?: AbortSignal } = {}): AsyncGenerator<PathInfo> {
    const { use, end } = this.calls.remotes.begin(remote);
    try {
      const batches = this.calls.receive<PathInfo[]>((port) => this.calls.api.sync.remotePathInfos(use, port));
      for await (const batch of iterate(batches, options.signal)) yield* batch;
    } finally {
      end();
    }
  }

  /**
   * Copies store paths, by default with their closures, from a remote. It transfers only missing
   * data and verifies every byte. A path becomes visible when its content is complete and has the
   * NAR hash that the remote stated.
   */
  async pull(remote: Remote, storePaths: Iterable<string>, options: SyncOptions & OperationOptions = {}): Promise<SyncReport> {
    const { use, end } = this.calls.remotes.begin(remote);
    return this.calls.operation(
      options,
      (port) => this.calls.api.sync.pull(use, [...storePaths], { closure: options.closure }, port),
      end,
    );
  }

  /**
   * Copies store paths, by default with their closures, to a remote. It transfers only the data
   * that the remote lacks.
   */
  async push(remote: Remote, storePaths: Iterable<string>, options: SyncOptions & OperationOptions = {}): Promise<SyncReport> {
    const { use, end } = this.calls.remotes.begin(remote);
    return this.calls.operation(
      options,
      (port) => this.calls.api.sync.push(use, [...storePaths], { closure: options.closure }, port),
      end,
    );
  }

  /**
   * Imports store paths, by default with their closures, from a Nix binary cache. `url` is the
   * address of the directory that contains `nix-cache-info`. Paths that the store already has are
   * not fetched. NARs are plain or compressed with xz, zstd, bzip2, gzip, br, lz4, lzip or lzma. An
   * untrusted path ends the import before any NAR is read. Each path becomes visible after its
   * dependencies. Requests are retried after temporary failures.
   *
   * A path that fails blocks only the paths that depend on it. The method then rejects at the end,
   * when the other paths are in the store.
   *
   * @throws FailedPathsError which names the failed paths and contains the report. Its code is that
   *   of the first failure: `not-found` if the cache lacks a path or a NAR; `corrupt` or `invalid`
   *   if data does not match its NARInfo or is malformed; `unavailable` if the cache can't be read.
   * @throws StoreError before any NAR is read: `denied` if a path is neither signed by one of the
   *   keys nor content-addressed; `not-found` if there is no cache; `unavailable` if the cache
   *   can't be reached or does not allow pages to read it (CORS)
   */
  async importBinaryCache(
    url: string,
    storePaths: Iterable<string>,
    { signal, onProgress, ...options }: BinaryCacheImport & OperationOptions = {},
  ): Promise<SubstituteReport> {
    return this.calls.operation({ signal, onProgress }, (port) =>
      this.calls.api.sync.importBinaryCache(url, [...storePaths], options, port),
    );
  }
}
