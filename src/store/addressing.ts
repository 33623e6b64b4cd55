import { quote } from "../bytes.ts";
import type { Node } from "../castore/node.ts";
import { StoreError } from "../error.ts";
import type { HashEngine } from "../hash/engine.ts";
import {
  CONTENT_ADDRESS_METHODS,
  type ContentAddress,
  type ContentAddressMethod,
  formatContentAddress,
} from "../nix/content-address.ts";
import { storePathFromContentAddress } from "../nix/content-addressed-path.ts";
import { HASH_LENGTHS, type HashAlgorithm, isHashAlgorithm, parseHash } from "../nix/hash.ts";
import { decodeNixbase32 } from "../nix/nixbase32.ts";
import { formatStorePath, parseHashPart, parseStorePath, storePathBaseName } from "../nix/store-path.ts";
import { requirePathInfo } from "./closure.ts";
import { contentDigest } from "./content-address-check.ts";
import type { NarSizeAndHash } from "./nar.ts";
import type { PathInfo } from "./path-info.ts";
import type { StoreServices } from "./services.ts";

/**
 * How new content gets its store path. With a name alone, the path is the one that
 * `nix-store --add` gives.
 */
export interface Addressing {
  readonly name: string;
  /**
   * The kind of content address:
   *
   * - `nar`, the default: hashes the NAR. The content may be anything.
   * - `flat`: hashes the bytes of a file, as `nix store add-file` does.
   * - `text`: hashes the bytes of a file that may refer to other store paths, as `builtins.toFile`
   *   does.
   * - `git`: hashes a git blob or tree, as `nix store add --mode git` does.
   */
  readonly method?: ContentAddressMethod | undefined;
  /**
   * Hash algorithm; `sha256` by default. `text` allows only `sha256`; `git` allows `sha256` and
   * `sha1`.
   */
  readonly hashAlgorithm?: HashAlgorithm | undefined;
  /**
   * Store paths that the content refers to. They must be in the store. Only `text`, and `nar` with
   * SHA-256, allow references.
   */
  readonly references?: readonly string[] | undefined;
}

/**
 * An `Addressing` that passed `checkAddressing`. Its references are base names of paths in the
 * store.
 */
export type CheckedAddressing = Required<{ readonly [key in keyof Addressing]: NonNullable<Addressing[key]> }>;

/**
 * Checks everything in `addressing` that can be checked without the content.
 *
 * @throws StoreError `invalid` if a store path can't have the name, or if the method does not allow
 *   the hash algorithm or the references; `not-found` if a reference is not in the store
 */
export async function checkAddressing(
  { pathInfos }: Pick<StoreServices, "pathInfos">,
  { name, method = "nar", hashAlgorithm = "sha256", references = [] }: Addressing,
  options: { signal?: AbortSignal | undefined } = {},
): Promise<CheckedAddressing> {
  if (!CONTENT_ADDRESS_METHODS.includes(method))
    throw new StoreError("invalid", `unknown content address method: ${quote(String(method))}`);
  if (!isHashAlgorithm(hashAlgorithm)) throw new StoreError("invalid", `unknown hash algorithm: ${quote(String(hashAlgorithm))}`);
  // Whether a store path can be formed depends neither on the digest nor on the names of the
  // references, so placeholders are enough here.
  const digest = new Uint8Array(HASH_LENGTHS[hashAlgorithm]);
  await storePathFromContentAddress(
    name,
    { method, hash: { algorithm: hashAlgorithm, digest } },
    { references: references.map((reference) => ({ digest: decodeNixbase32(parseHashPart(reference)), name: "reference" })) },
  );
  const baseNames = new Set<string>();
  for (const reference of references) {
    const { storePath } = await requirePathInfo(pathInfos, reference, { signal: options.signal });
    baseNames.add(storePathBaseName(parseStorePath(storePath)));
  }
  return { name, method, hashAlgorithm, references: [...baseNames].sort() };
}

/**
 * Returns the node to register for content that is addressed by this method. A `flat` or `text`
 * file loses its executable bit, because the address covers only the file's bytes: equal paths must
 * have equal content.
 *
 * @throws StoreError `invalid` if the method needs a file and `node` is not one
 */
export function addressedNode(node: Node, { name, method }: CheckedAddressing): Node {
  if (method === "nar" || method === "git") return node;
  if (node.kind !== "file")
    throw new StoreError("invalid", `${quote(name)} is a ${node.kind}: only a file can have a ${method} content address`);
  return node.executable ? { ...node, executable: false } : node;
}

/**
 * Returns the PathInfo of content-addressed content.
 *
 * @param node the node that `addressedNode` returned
 * @param nar size and hash of the NAR of `node`
 */
export async function addressedPathInfo(
  store: StoreServices,
  engine: HashEngine,
  node: Node,
  nar: NarSizeAndHash,
  { name, method, hashAlgorithm, references }: CheckedAddressing,
  options: { signal?: AbortSignal | undefined } = {},
): Promise<PathInfo> {
  const hash: ContentAddress["hash"] =
    method === "nar" && hashAlgorithm === "sha256"
      ? parseHash(nar.narHash)
      : {
          algorithm: hashAlgorithm,
          digest: await contentDigest(store, engine, node, { method, algorithm: hashAlgorithm }, options),
        };
  const address: ContentAddress = { method, hash };
  const path = await storePathFromContentAddress(name, address, {
    references: references.map((reference) => parseStorePath(reference)),
  });
  return {
    storePath: formatStorePath(path),
    node,
    ...nar,
    references,
    ca: formatContentAddress(address),
    signatures: [],
  };
}
