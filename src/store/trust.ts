import { StoreError } from "../error.ts";
import { verify } from "../nix/ed25519.ts";
import { fingerprint } from "../nix/fingerprint.ts";
import { parseHash } from "../nix/hash.ts";
import type { PublicKey } from "../nix/key.ts";
import { parseSignature } from "../nix/signature.ts";
import { checkContentAddressPath } from "./content-address-check.ts";
import type { PathInfo } from "./path-info.ts";

/**
 * Whose word is enough for what a store path is: that of one of `keys`, or, where they are `all`, of whoever gives it. A path whose content address
 * says what it is needs nobody's.
 */
export type TrustPolicy = { readonly keys: readonly PublicKey[] } | "all";

/** What trust is about: what a signature vouches for, the signatures, and the content address. */
export type TrustedInfo = Pick<PathInfo, "storePath" | "narHash" | "narSize" | "references" | "signatures" | "ca">;

/** Why a store path is taken. */
export type TrustReason =
  | { readonly kind: "content-address" }
  /** `keys`: the names of those whose signatures are right. */
  | { readonly kind: "signature"; readonly keys: readonly string[] }
  /** Everything is. */
  | { readonly kind: "policy" };

/**
 * Whether `policy` takes a PathInfo, before its content is looked at: who imports checks that the NAR and, where that is the reason, the content address
 * are those of the content.
 *
 * @throws StoreError `denied` if it does not
 */
export async function checkTrust(info: TrustedInfo, policy: TrustPolicy): Promise<TrustReason> {
  if (info.ca !== undefined && (await isAddressed(info))) return { kind: "content-address" };
  if (policy === "all") return { kind: "policy" };
  const keys = await trustedSigners(info, policy.keys);
  if (keys.length > 0) return { kind: "signature", keys };
  const by = info.signatures.map((text) => parseSignature(text).name);
  const signed = by.length === 0 ? "it is not signed" : `it is signed by ${by.join(", ")}`;
  throw new StoreError("denied", `${info.storePath} is not trusted: ${signed}, and no trusted key made a right signature`);
}

/** The names of those of `keys` that signed `info`, in the order of its signatures. */
export async function trustedSigners(info: Omit<TrustedInfo, "ca">, keys: readonly PublicKey[]): Promise<string[]> {
  const { storePath, narHash, narSize, references } = info;
  const text = fingerprint({ storePath, narHash: parseHash(narHash), narSize, references });
  const signers = new Set<string>();
  for (const signature of info.signatures.map(parseSignature)) {
    if (await verify(signature, text, keys)) signers.add(signature.name);
  }
  return [...signers];
}

/** An address that does not make this path is no address of it. */
async function isAddressed(info: TrustedInfo): Promise<boolean> {
  try {
    await checkContentAddressPath(info);
    return true;
  } catch {
    return false;
  }
}
