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
import { calculateNar } from "./nar.ts";
import { pathInfoFromNarInfo } from "./nar-info.ts";
import type { PathInfo } from "./path-info.ts";
import { checkNarSizeAndHash } from "./path-info-check.ts";
import type { CalculateNarThere, StoreServices } from "./services.ts";
import type { TrustedInfo } from "./trust.ts";

/** What a NARInfo says of a path, whose content is not here. */
export interface Substitute extends TrustedInfo {
  readonly text: string;
  readonly info: NarInfo;
}

/** `undefined` if the cache hasn't the path. */
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

/** Failures of the services for which a NAR may stand in. Content that isn't as its digest says is not among them: it should be known. */
const NAR_STANDS_IN: readonly StoreErrorCode[] = ["not-found", "unavailable", "denied", "internal", "invalid", "conflict"];

/**
 * Imports paths of one cache, whose trust was checked: where its NARInfo names a castore node, and the store has some of it, what is
 * missing is read from castore services at the cache; else the NAR. Either way what is published has the size, the hash and the content address that the NARInfo says.
 */
export class Substituter {
  readonly #cache: BinaryCache;
  readonly #engine: HashEngine;
  /** `undefined` once they turned out not to be there. */
  #castore: CastoreServices | undefined;
  readonly #there: CalculateNarThere | undefined;

  /** @param there where NARs of what was copied are calculated, if not here */
  constructor(cache: BinaryCache, engine: HashEngine, castore: CastoreServices | undefined, there?: CalculateNarThere) {
    this.#cache = cache;
    this.#engine = engine;
    this.#castore = castore;
    this.#there = there;
  }

  /** Progress: `reading`, in bytes of the NAR. */
  async import(store: StoreServices, { info, text }: Substitute, options: SubstituterOptions): Promise<PathInfo> {
    const { signal, onRetry } = options;
    let read = 0;
    // It begins again where the NAR stands in.
    const onRead = (loaded: number): void => {
      read = Math.max(read, Math.min(loaded, info.narSize));
      options.onProgress?.({ phase: "reading", loaded: read, total: info.narSize });
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
      // A cache that compresses as it sends may send other bytes each time, and then the parts
      // don't fit together.
      onRetry?.();
      return readNar({});
    }
  }

  /** What to publish, whose content is here and was checked; `undefined` if the NAR has to be read. */
  async #copy(
    store: StoreServices,
    info: NarInfo,
    onRead: (bytes: number) => void,
    signal: AbortSignal | undefined,
  ): Promise<PathInfo | undefined> {
    const from = this.#castore;
    const node = from && nodeOfNarUrl(info);
    if (!from || !node || minNarSize(node) > info.narSize) return undefined;
    // A directory that the store has is taken to have all beneath it; where it hasn't, nothing is taken for granted.
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
        // A remote that calculates says either.
        if (isStoreError(error, "not-found") || isStoreError(error, "conflict")) continue;
        // Whether it is the node that is wrong, or what was signed, the NAR tells.
        if (!isStoreError(error, "corrupt") && !isStoreError(error, "invalid")) throw error;
        return undefined;
      }
    }
    return undefined;
  }

  /** @returns the node here; `undefined` if the services haven't it, or the NAR costs less */
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
    // What is mostly missing comes faster as one stream.
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
    const nar = await calculateNar(store, this.#engine, info.node, { claimedSize: info.narSize, signal, there: this.#there });
    checkNarSizeAndHash(info, nar);
    await checkContentAddress(store, this.#engine, info, { signal });
  }
}

/** Of an entry: its name has a byte at least, and it is an empty file at best. */
const MIN_ENTRY_SIZE = narEntrySize(1) + Math.min(narFileSize(0, false), narSymlinkSize(1), NAR_DIRECTORY_SIZE);

/** No NAR of `node` is shorter, as far as the node's own size tells: a bound on what is read before the NAR's size is known. */
function minNarSize(node: Node): number {
  if (node.kind === "file") return NAR_HEADER_SIZE + narFileSize(Number(node.size), node.executable);
  if (node.kind === "symlink") return NAR_HEADER_SIZE + narSymlinkSize(node.target.length);
  // A doubled size is twice the number of entries beneath.
  return NAR_HEADER_SIZE + NAR_DIRECTORY_SIZE + (Number(node.size) * MIN_ENTRY_SIZE) / 2;
}
