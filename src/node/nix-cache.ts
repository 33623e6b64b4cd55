import { connectCacheCastore } from "../backends/cache-castore.ts";
import { NixCachePathInfoService } from "../backends/nix-cache.ts";
import type { CastoreServices } from "../castore/services.ts";
import type { HashEngine } from "../hash/engine.ts";
import { BinaryCache } from "../store/binary-cache.ts";
import type { CalculateNarThere } from "../store/services.ts";
import type { TrustPolicy } from "../store/trust.ts";
import type { NixCacheAddress } from "./addresses.ts";

/** What an address of a binary cache stands for. */
export interface NixCacheSource {
  readonly cache: BinaryCache;
  /** Castore services at the same address, which may not be there. */
  readonly castore: CastoreServices;
  readonly trust: TrustPolicy;
}

/** Nothing is sent yet. */
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

/** Its path infos, whose content goes to `content`. @param calculateNar of a remote that keeps the content */
export function openNixCache(
  address: NixCacheAddress,
  content: CastoreServices,
  engine: HashEngine,
  calculateNar: CalculateNarThere | undefined,
): NixCachePathInfoService {
  const { cache, ...options } = connectNixCache(address, engine);
  return new NixCachePathInfoService(cache, content, { engine, calculateNar, ...options });
}
