import { isStoreError, StoreError } from "../../error.ts";
import type { HashEngine } from "../../hash/engine.ts";
import { formatSri } from "../../nix/hash.ts";
import { type NarInfo, parseNarInfo } from "../../nix/narinfo.ts";
import { formatStorePath, parseHashPart, parseStorePath } from "../../nix/store-path.ts";
import { checkContentAddress } from "../../store/content-address-check.ts";
import { pathInfoFromNarInfo } from "../../store/nar-info.ts";
import type { PathInfo } from "../../store/path-info.ts";
import { checkNarSizeAndHash } from "../../store/path-info-check.ts";
import type { StoreServices } from "../../store/services.ts";
import { hasRoot } from "./root.ts";
import type { CacheUploads } from "./uploads.ts";

export interface PutNarInfoOptions {
  readonly engine: HashEngine;
  readonly uploads: CacheUploads;
  /** Store directory of the clients that upload. */
  readonly storeDir: string;
  readonly signal: AbortSignal;
}

/**
 * Creates a store path from an uploaded NAR, which is found by its NAR hash. Keeps the facts that
 * the store already has about the path.
 *
 * @param hashPart hash part in the request's target, under which the client puts the NARInfo
 * @throws StoreError `invalid` if the NARInfo breaks a rule, belongs to another path or doesn't
 *   match its NAR; `conflict` if no such NAR was uploaded, or if the store has the path with other
 *   content
 */
export async function receiveNarInfo(
  store: StoreServices,
  hashPart: string,
  text: string,
  { engine, uploads, storeDir, signal }: PutNarInfoOptions,
): Promise<PathInfo> {
  const narInfo = parseNarInfo(text, storeDir);
  if (parseHashPart(narInfo.storePath, storeDir) !== hashPart)
    throw new StoreError("invalid", `the NARInfo describes ${narInfo.storePath}, not ${hashPart}`);
  const content = await findContent(store, hashPart, narInfo, uploads, signal);
  const storePath = formatStorePath(parseStorePath(narInfo.storePath, storeDir));
  const info = pathInfoFromNarInfo({ ...narInfo, storePath }, content.node);
  try {
    checkNarSizeAndHash(info, content);
    await checkContentAddress(store, engine, info, { signal, storeDir });
  } catch (error) {
    // The client's claim is wrong, not the stored data.
    if (!isStoreError(error, "corrupt")) throw error;
    throw new StoreError("invalid", error.message, { cause: error });
  }
  return store.pathInfos.put(info, { signal });
}

async function findContent(
  store: StoreServices,
  hashPart: string,
  narInfo: NarInfo,
  uploads: CacheUploads,
  signal: AbortSignal,
): Promise<Pick<PathInfo, "node" | "narHash" | "narSize">> {
  const narHash = formatSri(narInfo.narHash);
  const uploaded = await uploads.narByHash(narHash);
  // Content and upload records may be stored in different places, so the content may be gone.
  if (uploaded && (await hasRoot(store, uploaded.node, signal))) return uploaded;
  // A client that only adds a signature to an existing path has nothing to upload.
  const earlier = await store.pathInfos.get(hashPart, { signal });
  if (earlier?.narHash === narHash) return earlier;
  throw new StoreError("conflict", `the NAR of ${narInfo.storePath} was not uploaded: no uploaded NAR has the hash ${narHash}`);
}
