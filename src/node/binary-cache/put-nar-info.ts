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
  /** Of those who upload. */
  readonly storeDir: string;
  readonly signal: AbortSignal;
}

/**
 * Makes a store path of a NAR that was uploaded before, found by its hash. What the store knows of the path already stays.
 *
 * @param hashPart of the name that the NARInfo was put under
 * @throws StoreError `invalid` for a NARInfo that breaks a rule, or is not of this path, or not of its NAR; `conflict` if no such NAR was
 *   uploaded, or if the store has the path with other content
 */
export async function receiveNarInfo(
  store: StoreServices,
  hashPart: string,
  text: string,
  { engine, uploads, storeDir, signal }: PutNarInfoOptions,
): Promise<PathInfo> {
  const narInfo = parseNarInfo(text, storeDir);
  if (parseHashPart(narInfo.storePath, storeDir) !== hashPart)
    throw new StoreError("invalid", `the NARInfo is of ${narInfo.storePath}, not of ${hashPart}`);
  const content = await findContent(store, hashPart, narInfo, uploads, signal);
  const storePath = formatStorePath(parseStorePath(narInfo.storePath, storeDir));
  const info = pathInfoFromNarInfo({ ...narInfo, storePath }, content.node);
  try {
    checkNarSizeAndHash(info, content);
    await checkContentAddress(store, engine, info, { signal, storeDir });
  } catch (error) {
    // It is what the client says that is wrong, not what is stored.
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
  // What was uploaded may be kept elsewhere than the record of it, and be gone.
  if (uploaded && (await hasRoot(store, uploaded.node, signal))) return uploaded;
  // Somebody who signs a path that is here has nothing to upload.
  const earlier = await store.pathInfos.get(hashPart, { signal });
  if (earlier?.narHash === narHash) return earlier;
  throw new StoreError("conflict", `the NAR of ${narInfo.storePath} was not uploaded: none here has the hash ${narHash}`);
}
