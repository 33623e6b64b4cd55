import { verify } from "../nix/ed25519.ts";
import { fingerprint } from "../nix/fingerprint.ts";
import { parseHash } from "../nix/hash.ts";
import type { PublicKey } from "../nix/key.ts";
import { parseSignature } from "../nix/signature.ts";
import type { PathInfo } from "./path-info.ts";

/**
 * `verified`: the trusted key of this name made it, for just this path, NAR hash, NAR size and references. `unknown`: no trusted key has this name,
 * so nobody can tell. `wrong`: the trusted key of this name did not make it, or made it for something else.
 */
export type SignatureState = "verified" | "unknown" | "wrong";

export interface CheckedSignature {
  /** Of the key that is said to have signed, for example `cache.nixos.org-1`. */
  readonly keyName: string;
  readonly state: SignatureState;
  /** The whole of it, `<key name>:<base64>`. */
  readonly signature: string;
}

/** What a signature vouches for, and the signatures. */
export type SignedInfo = Pick<PathInfo, "storePath" | "narHash" | "narSize" | "references" | "signatures">;

/**
 * Each signature of `info`, in their order, against `keys`.
 *
 * @throws StoreError `invalid` if a signature is out of shape
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
