import { sizeRulesOf } from "../castore/directory.ts";
import type { Node } from "../castore/node.ts";
import type { CastoreServices } from "../castore/services.ts";
import { isStoreError, StoreError, type StoreErrorCode } from "../error.ts";
import type { HashEngine } from "../hash/engine.ts";
import { formatContentAddress } from "../nix/content-address.ts";
import { formatSri } from "../nix/hash.ts";
import { NAR_DIRECTORY_SIZE, NAR_HEADER_SIZE, narEntrySize, narFileSize, narSymlinkSize } from "../nix/nar-size.ts";
import type { NarInfo } from "../nix/narinfo.ts";
import { formatSignature } from "../nix/signature.ts";
import type { OperationOptions } from "../progress.ts";
import type { BinaryCache, NarOptions } from "./binary-cache.ts";
import type { RequestOptions } from "./cache-files.ts";
import { nodeOfNarUrl } from "./castore-url.ts";
import { checkContentAddress } from "./content-address-check.ts";
import { copyContent } from "./copy-content.ts";
import { importNar } from "./import.ts";
import { missingContent } from "./missing-content.ts";
import { checkNar } from "./nar.ts";
import { pathInfoFromNarInfo } from "./nar-info.ts";
import type { PathInfo } from "./path-info.ts";
import type { CalculateNarThere, StoreServices } from "./services.ts";
import type { TrustedInfo } from "./trust.ts";

/** A path's NARInfo, for a path whose content is not here yet. */
export interface Substitute extends TrustedInfo {
  readonly text: string;
  readonly info: NarInfo;
}

/** Looks for a path in the cache. Returns `undefined` if the cache does not have it. */
export async function findSubstitute(
  cache: BinaryCache,
  hashPart: string,
  options: RequestOptions,
): Promise<Substitute | undefined> {
  const found = await cache.narInfo(hashPart, options);
  if (!found) return undefined;
  const { storePath, narHash, narSize, references, ca, signatures } = found.info;
  return {
    ...found,
    storePath,
    narHash: formatSri(narHash),
    narSize,
    references,
    ca: ca && formatContentAddress(ca),
    signatures: signatures.map(formatSignature),
  };
}

export interface SubstituterOptions extends OperationOptions, RequestOptions {
  readonly signal?: AbortSignal | undefined;
}

/**
 * Failures of the castore services after which the NAR is read. `corrupt` is not among them: the
 * user should learn of content that does not match its digest.
 */
const NAR_STANDS_IN: readonly StoreErrorCode[] = ["not-found", "unavailable", "denied", "internal", "invalid", "conflict"];

/**
 * Imports paths of one cache whose trust was already checked. If the NARInfo names a castore node
 * and the store has part of the content, the rest is read from the cache's castore services.
 * Otherwise, the NAR is read. In both cases, the published path has the size, hash and content
 * address that the NARInfo states.
 */
export class Substituter {
  readonly #cache: BinaryCache;
  readonly #engine: HashEngine;
  /** `undefined` once the services turn out to be unavailable. */
  #castore: CastoreServices | undefined;
  readonly #there: CalculateNarThere | undefined;

  /** @param there calculates the NARs of copied content in place of this thread */
  constructor(cache: BinaryCache, engine: HashEngine, castore: CastoreServices | undefined, there?: CalculateNarThere) {
    this.#cache = cache;
    this.#engine = engine;
    this.#castore = castore;
    this.#there = there;
  }

  /** Imports one path. Progress: `reading`, in bytes of the NAR. */
  async import(store: StoreServices, { info, text }: Substitute, options: SubstituterOptions): Promise<PathInfo> {
    const { signal, onRetry } = options;
    let read = 0;
    // Reading starts from 0 again if the NAR replaces a failed copy, but progress must not fall.
    const onRead = (loaded: number): void => {
      read = Math.max(read, Math.min(loaded, info.narSize));
      options.onProgress?.({ phase: "reading", unit: "bytes", loaded: read, total: info.narSize });
    };
    const copied = await this.#copy(store, info, onRead, signal);
    if (copied) return store.pathInfos.put(copied, { signal });
    const readNar = (narOptions: NarOptions): Promise<PathInfo> =>
      importNar(store, this.#engine, this.#cache.nar(info, this.#engine, { signal, onRetry, ...narOptions }), {
        narInfo: text,
        signal,
        onProgress: ({ loaded }) => onRead(loaded),
      });
    let isContinued = false;
    try {
      return await readNar({
        onContinued: () => {
          isContinued = true;
        },
      });
    } catch (error) {
      const isDamaged = isStoreError(error, "corrupt") || isStoreError(error, "invalid");
      if (!isContinued || !isDamaged) throw error;
      // A cache that compresses on the fly may send other bytes each time. Then parts of several
      // responses don't fit together.
      onRetry?.();
      return readNar({});
    }
  }

  /**
   * Copies and checks the content through the castore services.
   *
   * @returns the PathInfo to publish; `undefined` if the NAR must be read
   */
  async #copy(
    store: StoreServices,
    info: NarInfo,
    onRead: (bytes: number) => void,
    signal: AbortSignal | undefined,
  ): Promise<PathInfo | undefined> {
    const from = this.#castore;
    const node = from && nodeOfNarUrl(info);
    if (!from || !node || minNarSize(node) > info.narSize) return undefined;
    // The first round assumes that a directory in the store has everything beneath it. If content
    // turns out to be missing, the second round assumes nothing.
    for (const trustTarget of [true, false]) {
      let copied: Node | undefined;
      try {
        copied = await this.#copyNode(from, store, node, { narSize: info.narSize, trustTarget, onRead, signal });
      } catch (error) {
        signal?.throwIfAborted();
        if (!isStoreError(error) || !NAR_STANDS_IN.includes(error.code)) throw error;
        if (error.code === "unavailable") this.#castore = undefined;
      }
      if (!copied) return undefined;
      const pathInfo = pathInfoFromNarInfo(info, copied);
      try {
        await this.#check(store, pathInfo, signal);
        onRead(info.narSize);
        return pathInfo;
      } catch (error) {
        signal?.throwIfAborted();
        // A remote that calculates the NAR answers with either code.
        if (isStoreError(error, "not-found") || isStoreError(error, "conflict")) continue;
        // Either the node or the signed hash is wrong. Reading the NAR will show which one.
        if (!isStoreError(error, "corrupt") && !isStoreError(error, "invalid")) throw error;
        return undefined;
      }
    }
    return undefined;
  }

  /**
   * @returns the node in the store; `undefined` if the services don't have it, or if the NAR costs
   *   less
   */
  async #copyNode(
    from: CastoreServices,
    store: StoreServices,
    node: Node,
    options: { narSize: number; trustTarget: boolean; onRead: (bytes: number) => void; signal: AbortSignal | undefined },
  ): Promise<Node | undefined> {
    const { narSize, trustTarget, onRead, signal } = options;
    if (node.kind === "directory") {
      const here = await store.directories.get(node.digest, { signal });
      const root = here ?? (await from.directories.get(node.digest, { signal }));
      if (!root || sizeRulesOf(root, node.size).length === 0) return undefined;
    }
    // If most of the content is missing, one stream is faster.
    const missing = trustTarget ? await missingContent(from, store, node, { limit: narSize, signal }) : undefined;
    if (missing && missing.cost >= narSize) return undefined;
    let bytes = 0;
    const onBytes = (more: number): void => {
      bytes += more;
      if (bytes > narSize) throw new StoreError("invalid", `the content has more bytes than the NAR, which has ${narSize}`);
      onRead(bytes);
    };
    return (
      await copyContent(from, store, node, {
        trustTarget,
        reuseChunks: true,
        seen: missing?.present,
        onBytes,
        signal,
      })
    ).node;
  }

  async #check(store: StoreServices, info: PathInfo, signal: AbortSignal | undefined): Promise<void> {
    await checkNar(store, this.#engine, info, { signal, there: this.#there });
    await checkContentAddress(store, this.#engine, info, { signal });
  }
}

/** Bytes of the smallest entry in a NAR: a name of one byte, and the smallest node. */
const MIN_ENTRY_SIZE = narEntrySize(1) + Math.min(narFileSize(0, false), narSymlinkSize(1), NAR_DIRECTORY_SIZE);

/**
 * Returns a lower bound of the NAR's size, derived from the node alone. It limits how much is read
 * before the NAR's real size is known.
 */
function minNarSize(node: Node): number {
  if (node.kind === "file") return NAR_HEADER_SIZE + narFileSize(Number(node.size), node.executable);
  if (node.kind === "symlink") return NAR_HEADER_SIZE + narSymlinkSize(node.target.length);
  // A size by the doubled rule is twice the number of entries beneath.
  return NAR_HEADER_SIZE + NAR_DIRECTORY_SIZE + (Number(node.size) * MIN_ENTRY_SIZE) / 2;
}
