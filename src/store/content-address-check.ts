import { equalBytes } from "../bytes.ts";
import { formatDigest } from "../castore/digest.ts";
import type { Node } from "../castore/node.ts";
import type { CastoreServices } from "../castore/services.ts";
import { StoreError } from "../error.ts";
import type { HashEngine } from "../hash/engine.ts";
import { type ContentAddress, parseContentAddress } from "../nix/content-address.ts";
import { storePathFromContentAddress } from "../nix/content-addressed-path.ts";
import { formatNix32, type HashAlgorithm, parseHash } from "../nix/hash.ts";
import { formatStorePath, parseStorePath, STORE_DIR, storePathBaseName, storePathHashPart } from "../nix/store-path.ts";
import { iterate } from "../stream.ts";
import { gitHash } from "./git-hash.ts";
import { hashModulo } from "./hash-modulo.ts";
import { renderNar } from "./nar.ts";
import type { PathInfo } from "./path-info.ts";

/** A PathInfo as far as its content address needs it. */
export type AddressedPath = Pick<PathInfo, "storePath" | "references" | "ca">;

/**
 * Checks that the store path is the one that its content address and references give; there is nothing to check without one.
 *
 * @param storeDir that of those who made the path; it is part of what is hashed
 * @throws StoreError `corrupt` if it is another, `invalid` if there can't be one
 */
export async function checkContentAddressPath(
  { storePath, references, ca }: AddressedPath,
  storeDir: string = STORE_DIR,
): Promise<void> {
  if (ca === undefined) return;
  const path = parseStorePath(storePath);
  const self = storePathBaseName(path);
  const given = await storePathFromContentAddress(path.name, parseContentAddress(ca), {
    references: references.filter((reference) => reference !== self).map((reference) => parseStorePath(reference)),
    self: references.includes(self),
    storeDir,
  });
  if (storePathBaseName(given) !== self) {
    throw new StoreError(
      "corrupt",
      `store path ${storePath} is not the one of its content address ${ca}: ${formatStorePath(given)}`,
    );
  }
}

/**
 * Checks both that the store path is that of its content address, and that the content has this address. `info.narHash` must have
 * been calculated from the content.
 *
 * @throws StoreError `corrupt` if either is not so, `not-found` if content is missing
 */
export async function checkContentAddress(
  castore: CastoreServices,
  engine: HashEngine,
  info: PathInfo,
  options: { signal?: AbortSignal | undefined; storeDir?: string | undefined } = {},
): Promise<void> {
  if (info.ca === undefined) return;
  await checkContentAddressPath(info, options.storeDir);
  const address = parseContentAddress(info.ca);
  const actual = await contentHash(castore, engine, info, address, options);
  if (!equalBytes(actual, address.hash.digest)) {
    const found = formatNix32({ algorithm: address.hash.algorithm, digest: actual });
    throw new StoreError("corrupt", `the content of ${info.storePath} has not its content address ${info.ca}, but ${found}`);
  }
}

async function contentHash(
  castore: CastoreServices,
  engine: HashEngine,
  { storePath, references, node, narHash }: PathInfo,
  { method, hash: { algorithm, digest } }: ContentAddress,
  options: { signal?: AbortSignal | undefined },
): Promise<Uint8Array> {
  const path = parseStorePath(storePath);
  const self = references.includes(storePathBaseName(path));
  if (self) {
    const open = () => iterate(renderNar(castore, node, options), options.signal);
    return hashModulo(engine, open, { algorithm, hashPart: storePathHashPart(path), expected: digest });
  }
  if (method === "nar" && algorithm === "sha256") return parseHash(narHash).digest;
  // Whether a file is executable is not part of these addresses: Nix adds both kinds.
  if ((method === "flat" || method === "text") && node.kind !== "file") {
    throw new StoreError("corrupt", `${storePath} has a ${method} content address, but is a ${node.kind}, not a file`);
  }
  return contentDigest(castore, engine, node, { method, algorithm }, options);
}

/**
 * The digest that a content address of this method and algorithm has for `node`: of its NAR, of its
 * git object, or else of the bytes of a file.
 *
 * @throws StoreError `not-found` if content is missing, `corrupt` if it is not what the nodes say,
 *   `invalid` for bytes of a node that is no file, and for a method without such a hash
 */
export async function contentDigest(
  castore: CastoreServices,
  engine: HashEngine,
  node: Node,
  { method, algorithm }: { readonly method: ContentAddress["method"]; readonly algorithm: HashAlgorithm },
  { signal }: { signal?: AbortSignal | undefined } = {},
): Promise<Uint8Array> {
  if (method === "git") {
    if (algorithm !== "sha1" && algorithm !== "sha256") throw new StoreError("invalid", `git has no objects by ${algorithm}`);
    return gitHash(castore, engine, node, algorithm, { signal });
  }
  const content = method === "nar" ? renderNar(castore, node, { signal }) : await openFile(castore, node, signal);
  const hash = await engine.stream(algorithm);
  try {
    for await (const piece of iterate(content, signal)) await hash.update(piece);
    return await hash.digest();
  } catch (error) {
    hash.abort();
    throw error;
  }
}

async function openFile(
  castore: CastoreServices,
  node: Node,
  signal: AbortSignal | undefined,
): Promise<ReadableStream<Uint8Array>> {
  if (node.kind !== "file") throw new StoreError("invalid", `a ${node.kind} has no bytes of its own to hash`);
  const content = await castore.blobs.open(node.digest, { signal });
  if (!content) throw new StoreError("not-found", `blob ${formatDigest(node.digest)} is missing from the store`);
  return content;
}
