import type { PublicKey } from "../nix/key.ts";
import type { PathInfo } from "./path-info.ts";
import { type CheckedSignature, checkSignatures } from "./signatures.ts";
import { isContentAddressed } from "./trust.ts";

/** Whether signatures or a content address vouch for a store path. */
export interface SignatureReport {
  /** The state of each signature, in the order of the PathInfo. */
  readonly signatures: readonly CheckedSignature[];
  /** Whether the store path follows from its content address. Such a path needs no signature. */
  readonly contentAddressed: boolean;
}

/**
 * Checks the signatures of `info` against `keys`, and its content address.
 *
 * @throws StoreError `invalid` if a signature is malformed
 */
export async function reportSignatures(info: PathInfo, keys: readonly PublicKey[]): Promise<SignatureReport> {
  return { signatures: await checkSignatures(info, keys), contentAddressed: await isContentAddressed(info) };
}
