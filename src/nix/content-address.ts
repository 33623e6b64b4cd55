import { quote } from "../bytes.ts";
import { StoreError } from "../error.ts";
import { formatNix32, type NixHash, parseHash } from "./hash.ts";

/**
 * What a content address is the hash of: `flat`, the bytes of a file; `nar`, an archive of anything; `text`, likewise the bytes of a
 * file, but one that may refer to other store paths (derivations are such files).
 */
export type ContentAddressMethod = "text" | "flat" | "nar";

export const CONTENT_ADDRESS_METHODS: readonly ContentAddressMethod[] = ["nar", "flat", "text"];

export interface ContentAddress {
  readonly method: ContentAddressMethod;
  /** For `text` always a SHA-256. */
  readonly hash: NixHash;
}

const PREFIXES = [
  ["text:", "text"],
  ["fixed:r:", "nar"],
  ["fixed:", "flat"],
] as const;

/**
 * Reads `text:sha256:<digest>`, `fixed:<hash>` (flat) or `fixed:r:<hash>` (nar).
 *
 * @throws StoreError `invalid`
 */
export function parseContentAddress(text: string): ContentAddress {
  const prefix = PREFIXES.find(([prefix]) => text.startsWith(prefix));
  if (prefix === undefined) throw new StoreError("invalid", `not a content address: ${quote(text)}`);
  const [start, method] = prefix;
  const hashText = text.slice(start.length);
  if (!hashText.includes(":")) throw new StoreError("invalid", `not a content address: ${quote(text)}`);
  const address: ContentAddress = { method, hash: parseHash(hashText) };
  checkMethod(address);
  return address;
}

/** As Nix writes it, with the digest in nixbase32. */
export function formatContentAddress(address: ContentAddress): string {
  const prefix = PREFIXES.find(([, method]) => method === address.method)?.[0];
  return `${prefix}${formatNix32(address.hash)}`;
}

/** @throws StoreError `invalid` for a method with a hash that it can't have */
export function checkMethod({ method, hash }: ContentAddress): void {
  if (method === "text" && hash.algorithm !== "sha256") {
    throw new StoreError("invalid", `a text content address is a sha256, not a ${hash.algorithm}`);
  }
}
