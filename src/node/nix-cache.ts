import { connectCacheCastore } from "../backends/cache-castore.ts";
import { NixCachePathInfoService } from "../backends/nix-cache.ts";
import type { CastoreServices } from "../castore/services.ts";
import type { HashEngine } from "../hash/engine.ts";
import { BinaryCache } from "../store/binary-cache.ts";
import type { CalculateNarThere } from "../store/services.ts";
import type { TrustPolicy } from "../store/trust.ts";
import type { NixCacheAddress } from "./addresses.ts";

/** Services and trust policy for the address of a binary cache. */
export interface NixCacheSource {
  readonly cache: BinaryCache;
  /** Castore services at the same address. The cache may not offer them. */
  readonly castore: CastoreServices;
  readonly trust: TrustPolicy;
}

/** Prepares access to a binary cache. Doesn't send a request. */
export function connectNixCache(
  { url, trustedPublicKeys, requireSignatures }: NixCacheAddress,
  engine: HashEngine,
): NixCacheSource {
  return {
    cache: new BinaryCache(url),
    castore: connectCacheCastore(url, engine),
    trust: requireSignatures ? { keys: trustedPublicKeys } : "all",
  };
}

/**
 * Opens the path infos of a binary cache. The content of each requested path is imported into
 * `content`.
 *
 * @param calculateNar calculates NARs at the remote that stores `content`, if there is one
 */
export function openNixCache(
  address: NixCacheAddress,
  content: CastoreServices,
  engine: HashEngine,
  calculateNar: CalculateNarThere | undefined,
): NixCachePathInfoService {
  const { cache, ...options } = connectNixCache(address, engine);
  return new NixCachePathInfoService(cache, content, { engine, calculateNar, ...options });
}
