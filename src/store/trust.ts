import { StoreError } from "../error.ts";
import type { PublicKey } from "../nix/key.ts";
import { checkContentAddressPath } from "./content-address-check.ts";
import type { PathInfo } from "./path-info.ts";
import { type CheckedSignature, checkSignatures, type SignedInfo } from "./signatures.ts";

/**
 * Which signatures make a store path trusted: those by one of `keys`; or `all` if every path is
 * trusted without a signature. A path whose content address gives its store path needs no
 * signature.
 */
export type TrustPolicy = { readonly keys: readonly PublicKey[] } | "all";

/**
 * The facts that trust depends on: those that signatures cover, the signatures, and the content
 * address.
 */
export type TrustedInfo = Pick<PathInfo, "storePath" | "narHash" | "narSize" | "references" | "signatures" | "ca">;

/** Why a store path is trusted. */
export type TrustReason =
  | { readonly kind: "content-address" }
  /** `keys`: names of the trusted keys whose signatures are right. */
  | { readonly kind: "signature"; readonly keys: readonly string[] }
  /** The policy trusts everything. */
  | { readonly kind: "policy" };

/**
 * Checks that `policy` trusts a PathInfo, before its content is read. The importer must then check
 * the NAR's size and hash. If the content address is the reason for trust, it must check that too.
 *
 * @throws StoreError `denied` if the policy does not trust it
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

/** Returns the names of those of `keys` that signed `info`, in the order of its signatures. */
export async function trustedSigners(info: SignedInfo, keys: readonly PublicKey[]): Promise<string[]> {
  return verifiedNames(await checkSignatures(info, keys));
}

function verifiedNames(checked: readonly CheckedSignature[]): string[] {
  return [...new Set(checked.filter(({ state }) => state === "verified").map(({ keyName }) => keyName))];
}

/**
 * Whether the content address gives the store path, so that the path needs no signature. A content
 * address that gives another path does not count.
 */
export async function isContentAddressed(info: Pick<PathInfo, "storePath" | "references" | "ca">): Promise<boolean> {
  if (info.ca === undefined) return false;
  try {
    await checkContentAddressPath(info);
    return true;
  } catch {
    return false;
  }
}
