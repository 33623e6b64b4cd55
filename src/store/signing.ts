import { sign } from "../nix/ed25519.ts";
import { fingerprint } from "../nix/fingerprint.ts";
import { parseHash } from "../nix/hash.ts";
import type { SecretKey } from "../nix/key.ts";
import { formatSignature } from "../nix/signature.ts";
import { parseStorePath, STORE_DIR, storePathBaseName } from "../nix/store-path.ts";
import type { PathInfo } from "./path-info.ts";
import type { PathInfoService } from "./path-info-service.ts";

/** Returns a view of `pathInfos` that signs each PathInfo with each of `keys` before a put. */
export function signing(pathInfos: PathInfoService, keys: readonly SecretKey[], storeDir: string = STORE_DIR): PathInfoService {
  return {
    get: (hashPart, options) => pathInfos.get(hashPart, options),
    list: (options) => pathInfos.list(options),
    put: async (info, options) => pathInfos.put(await signPathInfo(info, keys, storeDir), options),
  };
}

/**
 * Returns `info` with a signature by each of `keys`. Ed25519 signatures are deterministic, so an
 * existing signature is not duplicated.
 *
 * @throws StoreError `invalid` if the public half of a key does not belong to its secret half
 */
export async function signPathInfo(info: PathInfo, keys: readonly SecretKey[], storeDir: string = STORE_DIR): Promise<PathInfo> {
  const { narSize, references } = info;
  const storePath = storePathBaseName(parseStorePath(info.storePath));
  const text = fingerprint({ storePath, narHash: parseHash(info.narHash), narSize, references }, storeDir);
  const signatures = new Set(info.signatures);
  for (const key of keys) signatures.add(formatSignature(await sign(key, text)));
  return { ...info, signatures: [...signatures] };
}
