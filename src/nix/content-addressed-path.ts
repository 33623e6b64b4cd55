import { quote, utf8 } from "../bytes.ts";
import { StoreError } from "../error.ts";
import { type ContentAddress, checkMethod } from "./content-address.ts";
import { formatHex, type NixHash } from "./hash.ts";
import { sha256 } from "./sha256.ts";
import { checkStorePathName, formatStorePath, STORE_DIR, STORE_PATH_DIGEST_LENGTH, type StorePath } from "./store-path.ts";

export interface ContentAddressOptions {
  /** Store paths to which the content refers, except its own, in any order. */
  references?: Iterable<StorePath> | undefined;
  /**
   * Whether the content refers to its own store path. The hash is then that of the content with its
   * own hash part replaced by zeros.
   */
  self?: boolean | undefined;
  storeDir?: string | undefined;
}

/**
 * Calculates the store path of content with this content address, as Nix does.
 *
 * @throws StoreError `invalid` for a bad name, or if Nix has no store path for such content with
 *   these references. Only `text`, and `nar` with SHA-256, may have references. Only `nar` with
 *   SHA-256 may refer to itself.
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
  const description = utf8(`fixed:out:${INGESTION_PREFIXES[method]}${formatHex(hash)}:`);
  return makeStorePath("output:out", { algorithm: "sha256", digest: await sha256(description) }, storeDir, name);
}

/** Nix's prefixes for each method in the text that it hashes for the path of a fixed output. */
const INGESTION_PREFIXES = { flat: "", nar: "r:", git: "git:" } as const;

/** Makes the store path of this name and type. Its digest follows from `hash`. */
export async function makeStorePath(type: string, hash: NixHash, storeDir: string, name: string): Promise<StorePath> {
  const description = utf8(`${type}:${formatHex(hash)}:${storeDir}:${name}`);
  return { digest: compressHash(await sha256(description), STORE_PATH_DIGEST_LENGTH), name };
}

/**
 * Folds `digest` to `length` bytes: XORs each byte into the byte at its position modulo `length`.
 */
export function compressHash(digest: Uint8Array, length: number): Uint8Array {
  const folded = new Uint8Array(length);
  for (const [i, byte] of digest.entries()) folded[i % length] = (folded[i % length] as number) ^ byte;
  return folded;
}
