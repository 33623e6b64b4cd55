import { quote, utf8 } from "../bytes.ts";
import { StoreError } from "../error.ts";
import { formatHex, formatNix32, hashBytes, type NixHash, parseHash } from "./hash.ts";
import { checkStorePathName, formatStorePath, STORE_DIR, STORE_PATH_DIGEST_LENGTH, type StorePath } from "./store-path.ts";

/**
 * What a content address is the hash of: `flat`, the bytes of a file; `nar`, an archive of anything; `text`, likewise the bytes of a
 * file, but one that may refer to other store paths (derivations are such files).
 */
export type ContentAddressMethod = "text" | "flat" | "nar";

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

export interface ContentAddressOptions {
  /** Store paths that the content refers to, itself apart, in any order. */
  references?: Iterable<StorePath> | undefined;
  /** Whether the content refers to its own store path. The hash is then that of the content with its own hash part zeroed. */
  self?: boolean | undefined;
  storeDir?: string | undefined;
}

/**
 * The store path of content that has this content address, as Nix calculates it.
 *
 * @throws StoreError `invalid` for a bad name, or for references where Nix has no path for content with them: only `nar` with
 *   SHA-256 and `text` may have some, and only `nar` with SHA-256 may refer to itself.
 */
export async function storePathFromContentAddress(
  name: string,
  address: ContentAddress,
  options: ContentAddressOptions = {},
): Promise<StorePath> {
  checkStorePathName(name);
  checkMethod(address);
  const storeDir = options.storeDir ?? STORE_DIR;
  const references = [...new Set(Array.from(options.references ?? [], (path) => formatStorePath(path, storeDir)))].sort();
  const self = options.self ?? false;
  const { method, hash } = address;

  const source = method === "nar" && hash.algorithm === "sha256";
  if ((references.length > 0 && !source && method !== "text") || (self && !source)) {
    const what = `${method} ${hash.algorithm} content address`;
    throw new StoreError("invalid", `${quote(name)}: content with a ${what} can't have ${self ? "self-" : ""}references`);
  }
  if (source || method === "text") {
    const type = [source ? "source" : "text", ...references, ...(self ? ["self"] : [])].join(":");
    return makeStorePath(type, hash, storeDir, name);
  }
  const description = utf8(`fixed:out:${method === "nar" ? "r:" : ""}${formatHex(hash)}:`);
  return makeStorePath("output:out", { algorithm: "sha256", digest: await hashBytes("sha256", description) }, storeDir, name);
}

async function makeStorePath(type: string, hash: NixHash, storeDir: string, name: string): Promise<StorePath> {
  const description = utf8(`${type}:${formatHex(hash)}:${storeDir}:${name}`);
  return { digest: compressHash(await hashBytes("sha256", description), STORE_PATH_DIGEST_LENGTH), name };
}

/** `digest` folded to `length` bytes: each byte is xored to the one at its position modulo `length`. */
export function compressHash(digest: Uint8Array, length: number): Uint8Array {
  const folded = new Uint8Array(length);
  for (const [i, byte] of digest.entries()) folded[i % length] = (folded[i % length] as number) ^ byte;
  return folded;
}

function checkMethod({ method, hash }: ContentAddress): void {
  if (method === "text" && hash.algorithm !== "sha256") {
    throw new StoreError("invalid", `a text content address is a sha256, not a ${hash.algorithm}`);
  }
}
