import type { Node } from "../castore/node.ts";
import { isStoreError } from "../error.ts";
import type { HashEngine } from "../hash/engine.ts";
import { parseHashPart } from "../nix/store-path.ts";
import type { OperationOptions, ProgressCallback } from "../progress.ts";
import { closureOf, requirePathInfo } from "./closure.ts";
import { checkContentAddress } from "./content-address-check.ts";
import { type CopiedContent, copyContent } from "./copy-content.ts";
import { checkNar } from "./nar.ts";
import type { PathInfo } from "./path-info.ts";
import { checkPathInfo } from "./path-info-check.ts";
import { checkSameContent } from "./path-info-merge.ts";
import { addToPresent } from "./present.ts";
import type { CalculateNarThere, StoreServices } from "./services.ts";

/** The result of a sync. */
export interface SyncReport {
  /** Store paths that were added to the target. */
  paths: number;
  /** Blobs and directories that were transferred. */
  objects: number;
  /** Bytes of the transferred blobs, without reused chunks. */
  bytes: number;
  /**
   * Requested store paths that the target already had, so that none of their content was
   * transferred.
   */
  reused: number;
}

export interface CopyPathsOptions extends OperationOptions {
  engine: HashEngine;
  /** Whether to copy the closure of the paths; `true` by default. */
  closure?: boolean | undefined;
  /**
   * Whether to calculate NAR size, NAR hash and content address from the target's own copy before
   * its PathInfo is put; `true` by default. Use `false` only if the source's path infos are already
   * verified, as in a push from a store of our own.
   */
  verify?: boolean | undefined;
  /**
   * Calculates NARs at the remote that is the target; by default, this thread calculates them from
   * the target's content.
   */
  calculateNar?: CalculateNarThere | undefined;
  /**
   * Whether to read the chunks that the target already has from the target, and only the other
   * chunks from the source. Use it if the target is nearer.
   */
  reuseChunks?: boolean | undefined;
  /**
   * Called with each store path once it is in the target, dependencies first. Paths that were there
   * before are included.
   */
  onPath?: ((storePath: string) => void | Promise<void>) | undefined;
}

/**
 * Copies store paths that are missing at the target from one store to another. For each path, it
 * copies blobs, then directories, then the PathInfo; dependencies come first. So every path that
 * the target has is complete, even after an interruption.
 *
 * A path that the target has with the same NAR hash stays as it is, but gets the source's
 * signatures. Progress: `copying` and, if `verify` is set, `verifying`, both in bytes of the
 * missing NARs.
 *
 * @param storePaths absolute paths, base names or hash parts
 * @throws StoreError `not-found` if the source lacks a path, a reference or content; `corrupt` if
 *   content does not match its digest or its PathInfo; `conflict` if the target has one of the
 *   paths with other content or other references. In that last case, nothing is transferred.
 */
export async function copyBetweenStores(
  from: StoreServices,
  to: StoreServices,
  storePaths: readonly string[],
  options: CopyPathsOptions,
): Promise<SyncReport> {
  const { signal } = options;
  try {
    signal?.throwIfAborted();
    const infos =
      options.closure === false ? await requireAll(from, storePaths, signal) : await closureOf(from.pathInfos, storePaths, options);
    for (const info of infos) checkPathInfo(info);
    const missing = await addToPresent(to, infos, signal);
    const report: SyncReport = { paths: 0, objects: 0, bytes: 0, reused: infos.length - missing.length };
    const copy = new Copy(from, to, missing, options);
    const isMissing = new Set<PathInfo>(missing);
    for (const info of infos) {
      if (isMissing.has(info)) {
        const { objects, bytes } = await copy.path(info);
        report.paths++;
        report.objects += objects;
        report.bytes += bytes;
      }
      await options.onPath?.(info.storePath);
    }
    return report;
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  }
}

async function requireAll(
  from: StoreServices,
  storePaths: readonly string[],
  signal: AbortSignal | undefined,
): Promise<PathInfo[]> {
  const infos = new Map<string, PathInfo>();
  for (const storePath of storePaths) {
    const hashPart = parseHashPart(storePath);
    if (!infos.has(hashPart)) infos.set(hashPart, await requirePathInfo(from.pathInfos, storePath, { signal }));
  }
  return [...infos.values()];
}

/** One run of `copyBetweenStores`. */
class Copy {
  readonly #from: StoreServices;
  readonly #to: StoreServices;
  readonly #options: CopyPathsOptions;
  readonly #seen = new Set<string>();
  readonly #copying: PathProgress;
  readonly #verifying: PathProgress;

  constructor(from: StoreServices, to: StoreServices, paths: readonly PathInfo[], options: CopyPathsOptions) {
    this.#from = from;
    this.#to = to;
    this.#options = options;
    const total = paths.reduce((sum, info) => sum + info.narSize, 0);
    this.#copying = new PathProgress("copying", total, options.onProgress);
    this.#verifying = new PathProgress("verifying", total, options.onProgress);
  }

  async path(info: PathInfo): Promise<CopiedContent> {
    const { signal, verify = true } = this.#options;
    signal?.throwIfAborted();
    this.#copying.begin(info.narSize);
    let copied = await this.#copy(info.node, true);
    this.#copying.end();
    if (verify) this.#verifying.begin(info.narSize);
    try {
      await this.#publish({ ...info, node: copied.node }, verify);
    } catch (error) {
      if (!isContentMissing(error, this.#options.calculateNar !== undefined)) throw error;
      if (isStoreError(error, "conflict")) await this.#throwConflict(info);
      // The target has a directory without everything beneath it: it wrote the directory before the
      // content, and then failed. The second copy trusts no directory.
      const again = await this.#copy(info.node, false);
      copied = { node: again.node, objects: copied.objects + again.objects, bytes: copied.bytes + again.bytes };
      await this.#publish({ ...info, node: copied.node }, verify);
    }
    if (verify) this.#verifying.end();
    return copied;
  }

  async #publish(info: PathInfo, verify: boolean): Promise<void> {
    if (verify) await this.#verify(info);
    this.#options.signal?.throwIfAborted();
    await this.#to.pathInfos.put(info, { signal: this.#options.signal });
  }

  /**
   * Checks whether another writer has put the path with other content meanwhile.
   *
   * @throws StoreError `conflict` if the target has the path with other content or other references
   */
  async #throwConflict(info: PathInfo): Promise<void> {
    const there = await this.#to.pathInfos.get(parseHashPart(info.storePath), { signal: this.#options.signal });
    if (there) checkSameContent(info, there);
  }

  #copy(node: Node, trustTarget: boolean): Promise<CopiedContent> {
    return copyContent(this.#from, this.#to, node, {
      signal: this.#options.signal,
      trustTarget,
      reuseChunks: this.#options.reuseChunks,
      onBytes: (bytes) => this.#copying.add(bytes),
      seen: trustTarget ? this.#seen : new Set(),
    });
  }

  async #verify(info: PathInfo): Promise<void> {
    const { engine, signal } = this.#options;
    const onProgress: ProgressCallback = ({ loaded }) => this.#verifying.set(loaded);
    await checkNar(this.#to, engine, info, { signal, onProgress, there: this.#options.calculateNar });
    await checkContentAddress(this.#to, engine, info, { signal });
  }
}

/**
 * Whether `error` may mean that the target lacks content. Our own reads fail with `not-found`. A
 * daemon answers NOT_FOUND, FAILED_PRECONDITION (`conflict` here) or, as snix does, DATA_LOSS
 * (`corrupt`).
 */
function isContentMissing(error: unknown, calculatedThere: boolean): boolean {
  if (calculatedThere && isStoreError(error, "corrupt")) return true;
  return isStoreError(error, "not-found") || isStoreError(error, "conflict");
}

/**
 * Progress over several paths. Each path counts with the size of its NAR, even if fewer bytes are
 * counted while it is copied.
 */
class PathProgress {
  readonly #phase: string;
  readonly #total: number;
  readonly #onProgress: ProgressCallback | undefined;
  #before = 0;
  #size = 0;
  #loaded = 0;

  constructor(phase: string, total: number, onProgress: ProgressCallback | undefined) {
    this.#phase = phase;
    this.#total = total;
    this.#onProgress = onProgress;
  }

  begin(size: number): void {
    this.#size = size;
    this.#loaded = 0;
  }

  add(bytes: number): void {
    this.set(this.#loaded + bytes);
  }

  set(loaded: number): void {
    const now = Math.min(loaded, this.#size);
    if (now <= this.#loaded) return;
    this.#loaded = now;
    this.#onProgress?.({ phase: this.#phase, unit: "bytes", loaded: this.#before + now, total: this.#total });
  }

  end(): void {
    this.set(this.#size);
    this.#before += this.#size;
    this.#size = 0;
    this.#loaded = 0;
  }
}
