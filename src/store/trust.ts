import { StoreError } from "../error.ts";
import type { PublicKey } from "../nix/key.ts";
import { checkContentAddressPath } from "./content-address-check.ts";
import type { PathInfo } from "./path-info.ts";
import { type CheckedSignature, checkSignatures, type SignedInfo } from "./signatures.ts";

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
  if (await isContentAddressed(info)) return { kind: "content-address" };
  if (policy === "all") return { kind: "policy" };
  const checked = await checkSignatures(info, policy.keys);
  const keys = verifiedNames(checked);
  if (keys.length > 0) return { kind: "signature", keys };
  const why = checked.map(({ keyName, state }) => `it is signed by ${keyName}, ${state === "wrong" ? WRONG : UNKNOWN}`);
  throw new StoreError("denied", `${info.storePath} is not trusted: ${why.join("; ") || "it is not signed"}`);
}

const UNKNOWN = "whose key is not among the trusted ones";
const WRONG = "but not with the trusted key of that name";

/** The names of those of `keys` that signed `info`, in the order of its signatures. */
export async function trustedSigners(info: SignedInfo, keys: readonly PublicKey[]): Promise<string[]> {
  return verifiedNames(await checkSignatures(info, keys));
}

function verifiedNames(checked: readonly CheckedSignature[]): string[] {
  return [...new Set(checked.filter(({ state }) => state === "verified").map(({ keyName }) => keyName))];
}

/** Whether the content address makes the store path, so that it needs no signature. One that makes another path is no address of it. */
export async function isContentAddressed(info: Pick<PathInfo, "storePath" | "references" | "ca">): Promise<boolean> {
  if (info.ca === undefined) return false;
  try {
    await checkContentAddressPath(info);
    return true;
  } catch {
    return false;
  }
}
