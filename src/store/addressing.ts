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

/** How new content gets its store path. With the name alone it is the path that `nix-store --add` gives. */
export interface Addressing {
  readonly name: string;
  /**
   * What is hashed:
   *
   * - `nar`, the default: an archive of anything.
   * - `flat`: the bytes of a file, as by `nix store add-file`.
   * - `text`: the bytes of a file that may refer to other store paths, as by `builtins.toFile`.
   * - `git`: a git blob or tree, as by `nix store add --mode git`.
   */
  readonly method?: ContentAddressMethod | undefined;
  /** `sha256` if not given. A `text` has no other one, and a `git` object only this or `sha1`. */
  readonly hashAlgorithm?: HashAlgorithm | undefined;
  /** Store paths that the content refers to, which must be in the store: of a `text`, or of a `nar` with SHA-256. */
  readonly references?: readonly string[] | undefined;
}

/** An `Addressing` that can be, with base names of references that are there. */
export type CheckedAddressing = Required<{ readonly [key in keyof Addressing]: NonNullable<Addressing[key]> }>;

/**
 * Checks all of `addressing` that needs no content.
 *
 * @throws StoreError `invalid` for a name that a store path can't have, or a method that can't have such a hash or references; `not-found` for
 *   a reference that is not in the store
 */
export async function checkAddressing(
  { pathInfos }: Pick<StoreServices, "pathInfos">,
  { name, method = "nar", hashAlgorithm = "sha256", references = [] }: Addressing,
  options: { signal?: AbortSignal | undefined } = {},
): Promise<CheckedAddressing> {
  if (!CONTENT_ADDRESS_METHODS.includes(method))
    throw new StoreError("invalid", `no way to address content: ${quote(String(method))}`);
  if (!isHashAlgorithm(hashAlgorithm)) throw new StoreError("invalid", `no hash that Nix has: ${quote(String(hashAlgorithm))}`);
  // Whether there is a path depends neither on the content nor on what references are named.
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
 * The content as it is registered by this method. A file that is hashed by its bytes alone loses
 * its executable bit, so that equal paths have equal content.
 *
 * @throws StoreError `invalid` for a method that needs a file
 */
export function addressedNode(node: Node, { name, method }: CheckedAddressing): Node {
  if (method === "nar" || method === "git") return node;
  if (node.kind !== "file")
    throw new StoreError("invalid", `${quote(name)} is a ${node.kind}: only a file has a ${method} content address`);
  return node.executable ? { ...node, executable: false } : node;
}

/** What is known of content that is addressed by itself. @param nar of `node`, which is what `addressedNode` answers */
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
