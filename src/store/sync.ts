import type { Node } from "../castore/node.ts";
import { isStoreError } from "../error.ts";
import type { HashEngine } from "../hash/engine.ts";
import { parseHashPart } from "../nix/store-path.ts";
import type { OperationOptions, ProgressCallback } from "../progress.ts";
import { closureOf, requirePathInfo } from "./closure.ts";
import { checkContentAddress } from "./content-address-check.ts";
import { type CopiedContent, copyContent } from "./copy-content.ts";
import { calculateNar } from "./nar.ts";
import type { PathInfo } from "./path-info.ts";
import { checkNarSizeAndHash, checkPathInfo } from "./path-info-check.ts";
import { checkSameContent } from "./path-info-merge.ts";
import { addToPresent } from "./present.ts";
import type { CalculateNarThere, StoreServices } from "./services.ts";

/** What a sync did. */
export interface SyncReport {
  /** Store paths that the target has now and had not before. */
  paths: number;
  /** Blobs and directories that moved. */
  objects: number;
  /** Bytes of the blobs among them, without those of chunks that were reused. */
  bytes: number;
  /** Store paths that were asked for and that the target had already, so that nothing of them moved. */
  reused: number;
}

export interface CopyPathsOptions extends OperationOptions {
  engine: HashEngine;
  /** Whether all that the paths refer to goes along; by default it does. */
  closure?: boolean | undefined;
  /**
   * Whether NAR size, NAR hash and content address are calculated from the target's own copy before a PathInfo is put there; by
   * default they are. Only for a source whose path infos are verified, as in a push from a store of our own, is it right not to.
   */
  verify?: boolean | undefined;
  /** Where the target's copy is calculated, if not here. */
  calculateNar?: CalculateNarThere | undefined;
  /** Whether chunks that the target has are not read at the source again: for a target that is nearer. */
  reuseChunks?: boolean | undefined;
  /** Is told each path, references before what refers to them, once it is there; those that were there before, too. */
  onPath?: ((storePath: string) => void | Promise<void>) | undefined;
}

/**
 * Copies store paths from one store to another, as far as they are missing there: blobs first, then directories, then the PathInfo,
 * and references before what refers to them. So whatever happens half way, a path that the target has is complete.
 *
 * A path that the target has with the same NAR hash is left as it is, but for signatures that it gets. Progress: `copying`, and
 * `verifying` when it verifies, both in bytes of the NARs of what is missing.
 *
 * @param storePaths absolute paths, base names or hash parts
 * @throws StoreError `not-found` if the source lacks a path, a reference or content; `corrupt` if content is not what it is said to
 *   be; `conflict` if the target has one of the paths with other content, and then nothing moves
 */
export async function copyPaths(
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

/** One run of `copyPaths`. */
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
      // The target had a directory, but not all that is beneath it: it was there before what it refers to, and then something broke.
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
   * Somebody else may have put the path meanwhile.
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
    const there = this.#options.calculateNar;
    checkNarSizeAndHash(
      info,
      await calculateNar(this.#to, engine, info.node, { signal, onProgress, claimedSize: info.narSize, there }),
    );
    await checkContentAddress(this.#to, engine, info, { signal });
  }
}

/**
 * Whether `error` may mean that the target lacks content. Our own reads say `not-found`. A daemon
 * answers NOT_FOUND, FAILED_PRECONDITION (`conflict` here) or, as snix does, DATA_LOSS (`corrupt`).
 */
function isContentMissing(error: unknown, calculatedThere: boolean): boolean {
  if (calculatedThere && isStoreError(error, "corrupt")) return true;
  return isStoreError(error, "not-found") || isStoreError(error, "conflict");
}

/** Progress over several paths, each of which is known by the size of its NAR, though what is counted of it may be less. */
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
    this.#onProgress?.({ phase: this.#phase, loaded: this.#before + now, total: this.#total });
  }

  end(): void {
    this.set(this.#size);
    this.#before += this.#size;
    this.#size = 0;
    this.#loaded = 0;
  }
}
