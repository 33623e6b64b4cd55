import { quote } from "../bytes.ts";
import { StoreError } from "../error.ts";
import { decodeDigest, formatNix32, type HashAlgorithm, isHashAlgorithm, type NixHash } from "./hash.ts";

/**
 * The method of a content address: the input of its hash.
 *
 * - `flat`: the bytes of a file.
 * - `nar`: the NAR of a file, directory or symlink.
 * - `text`: the bytes of a file that may refer to other store paths, such as a derivation.
 * - `git`: a git blob or tree. An experimental feature of Nix.
 */
export type ContentAddressMethod = "text" | "flat" | "nar" | "git";

export const CONTENT_ADDRESS_METHODS: readonly ContentAddressMethod[] = ["nar", "flat", "text", "git"];

export interface ContentAddress {
  readonly method: ContentAddressMethod;
  /** Always a SHA-256 for `text`; a SHA-1 or a SHA-256 for `git`. */
  readonly hash: NixHash;
}

/** Nix's prefixes before the hash. `fixed:` comes last, because other prefixes begin with it. */
const PREFIXES = [
  ["text:", "text"],
  ["fixed:r:", "nar"],
  ["fixed:git:", "git"],
  ["fixed:", "flat"],
] as const;

/**
 * Reads `text:sha256:<digest>`, `fixed:<hash>` (flat), `fixed:r:<hash>` (nar) or
 * `fixed:git:<hash>`. The digest is in hexadecimal, nixbase32 or base64.
 *
 * @throws StoreError `invalid`
 */
export function parseContentAddress(text: string): ContentAddress {
  const address = parseKnownContentAddress(text);
  if (!address) throw new StoreError("invalid", `not a content address: ${quote(text)}`);
  return address;
}

/**
 * Reads a content address like `parseContentAddress`. Returns `undefined` for the empty text and
 * for an unknown method or hash algorithm, because a later Nix may have more kinds.
 *
 * @throws StoreError `invalid` for a known kind with a broken digest
 */
export function parseKnownContentAddress(text: string): ContentAddress | undefined {
  const [prefix, method] = PREFIXES.find(([prefix]) => text.startsWith(prefix)) ?? [];
  if (prefix === undefined || method === undefined) return undefined;
  const colon = text.indexOf(":", prefix.length);
  const algorithm = text.slice(prefix.length, Math.max(colon, 0));
  if (!isHashAlgorithm(algorithm) || !canHash(method, algorithm)) return undefined;
  try {
    return { method, hash: { algorithm, digest: decodeDigest(algorithm, text.slice(colon + 1)) } };
  } catch (cause) {
    throw new StoreError("invalid", `not a content address: ${quote(text)}`, { cause });
  }
}

/** Writes a content address as Nix does, with the digest in nixbase32. */
export function formatContentAddress(address: ContentAddress): string {
  const prefix = PREFIXES.find(([, method]) => method === address.method)?.[0];
  return `${prefix}${formatNix32(address.hash)}`;
}

/** @throws StoreError `invalid` if the method can't have this hash algorithm */
export function checkMethod({ method, hash: { algorithm } }: ContentAddress): void {
  if (!canHash(method, algorithm)) {
    const possible = method === "text" ? "a sha256" : "a sha1 or a sha256";
    throw new StoreError("invalid", `a ${method} content address must be ${possible}, not a ${algorithm}`);
  }
}

/** Whether Nix has content addresses of this method and hash algorithm. */
export function canHash(method: ContentAddressMethod, algorithm: HashAlgorithm): boolean {
  if (method === "text") return algorithm === "sha256";
  return method !== "git" || algorithm === "sha1" || algorithm === "sha256";
}
