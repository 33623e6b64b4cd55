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

/** The part of a PathInfo that its content address depends on. */
export type AddressedPath = Pick<PathInfo, "storePath" | "references" | "ca">;

/**
 * Checks that the content address and the references give this store path. Without a content
 * address, it checks nothing.
 *
 * @param storeDir store directory of the machine that made the path; the hash covers it
 * @throws StoreError `corrupt` if they give another store path; `invalid` if they give none
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
      `store path ${storePath} does not follow from its content address ${ca}, which gives ${formatStorePath(given)}`,
    );
  }
}

/**
 * Checks that the content address gives this store path, and that the content has this address.
 *
 * @param info a PathInfo whose `narHash` was calculated from the content
 * @throws StoreError `corrupt` if a check fails; `invalid` if the content address and the
 *   references give no store path; `not-found` if content is missing
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
    throw new StoreError(
      "corrupt",
      `the content of ${info.storePath} does not match its content address ${info.ca}: its hash is ${found}`,
    );
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
  // These addresses don't cover the executable bit: Nix gives them to executable files too.
  if ((method === "flat" || method === "text") && node.kind !== "file") {
    throw new StoreError("corrupt", `${storePath} has a ${method} content address, but is a ${node.kind}, not a file`);
  }
  return contentDigest(castore, engine, node, { method, algorithm }, options);
}

/**
 * Returns the digest of `node` for a content address of this method and algorithm. The method
 * decides what is hashed: the NAR, the git object, or the bytes of a file.
 *
 * @throws StoreError `not-found` if content is missing; `corrupt` if content does not match its
 *   node; `invalid` if the method needs a file and `node` is not one, or if the method does not
 *   allow the algorithm
 */
export async function contentDigest(
  castore: CastoreServices,
  engine: HashEngine,
  node: Node,
  { method, algorithm }: { readonly method: ContentAddress["method"]; readonly algorithm: HashAlgorithm },
  { signal }: { signal?: AbortSignal | undefined } = {},
): Promise<Uint8Array> {
  if (method === "git") {
    if (algorithm !== "sha1" && algorithm !== "sha256")
      throw new StoreError("invalid", `git objects can't be hashed with ${algorithm}; use sha1 or sha256`);
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
  if (node.kind !== "file") throw new StoreError("invalid", `a ${node.kind} has no file content to hash`);
  const content = await castore.blobs.open(node.digest, { signal });
  if (!content) throw new StoreError("not-found", `blob ${formatDigest(node.digest)} is missing from the store`);
  return content;
}
