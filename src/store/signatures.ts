import { verify } from "../nix/ed25519.ts";
import { fingerprint } from "../nix/fingerprint.ts";
import { parseHash } from "../nix/hash.ts";
import type { PublicKey } from "../nix/key.ts";
import { parseSignature } from "../nix/signature.ts";
import type { PathInfo } from "./path-info.ts";

/**
 * The result of checking one signature:
 *
 * - `verified`: the trusted key of this name signed exactly this path, NAR hash, NAR size and
 *   references.
 * - `unknown`: no trusted key has this name, so the signature can't be checked.
 * - `wrong`: the trusted key of this name did not make the signature, or signed something else.
 */
export type SignatureState = "verified" | "unknown" | "wrong";

export interface CheckedSignature {
  /** Name of the claimed signing key, for example `cache.nixos.org-1`. */
  readonly keyName: string;
  readonly state: SignatureState;
  /** The whole signature, `<key name>:<base64>`. */
  readonly signature: string;
}

/** The signatures of a path, and the facts that they cover. */
export type SignedInfo = Pick<PathInfo, "storePath" | "narHash" | "narSize" | "references" | "signatures">;

/**
 * Checks each signature of `info` against `keys`, in order.
 *
 * @throws StoreError `invalid` if a signature is malformed
 */
export async function checkSignatures(info: SignedInfo, keys: readonly PublicKey[]): Promise<CheckedSignature[]> {
  const { storePath, narHash, narSize, references, signatures } = info;
  const text = fingerprint({ storePath, narHash: parseHash(narHash), narSize, references });
  const checked: CheckedSignature[] = [];
  for (const signature of signatures) {
    const parsed = parseSignature(signature);
    const known = keys.filter(({ name }) => name === parsed.name);
    const verified = known.length > 0 && (await verify(parsed, text, known));
    checked.push({ keyName: parsed.name, state: verified ? "verified" : known.length > 0 ? "wrong" : "unknown", signature });
  }
  return checked;
}
