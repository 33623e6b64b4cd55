import { quote, utf8 } from "../bytes.ts";
import { StoreError } from "../error.ts";
import { type ContentAddress, checkMethod } from "./content-address.ts";
import { formatHex, type NixHash } from "./hash.ts";
import { sha256 } from "./sha256.ts";
import { checkStorePathName, formatStorePath, STORE_DIR, STORE_PATH_DIGEST_LENGTH, type StorePath } from "./store-path.ts";

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
  const description = utf8(`fixed:out:${INGESTION_PREFIXES[method]}${formatHex(hash)}:`);
  return makeStorePath("output:out", { algorithm: "sha256", digest: await sha256(description) }, storeDir, name);
}

/** How Nix writes the method in what it hashes for a fixed output's path. */
const INGESTION_PREFIXES = { flat: "", nar: "r:", git: "git:" } as const;

/** The store path of this name and type, whose digest follows from `hash`. */
export async function makeStorePath(type: string, hash: NixHash, storeDir: string, name: string): Promise<StorePath> {
  const description = utf8(`${type}:${formatHex(hash)}:${storeDir}:${name}`);
  return { digest: compressHash(await sha256(description), STORE_PATH_DIGEST_LENGTH), name };
}

/** `digest` folded to `length` bytes: each byte is xored to the one at its position modulo `length`. */
export function compressHash(digest: Uint8Array, length: number): Uint8Array {
  const folded = new Uint8Array(length);
  for (const [i, byte] of digest.entries()) folded[i % length] = (folded[i % length] as number) ^ byte;
  return folded;
}
