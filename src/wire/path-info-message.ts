import { create, type UnknownField } from "@bufbuild/protobuf";
import { decodeUtf8, equalBytes, quote, utf8 } from "../bytes.ts";
import type { Node } from "../castore/node.ts";
import { isStoreError, StoreError } from "../error.ts";
import { formatSri, HASH_LENGTHS, parseHash } from "../nix/hash.ts";
import { decodeNixbase32, encodeNixbase32 } from "../nix/nixbase32.ts";
import { formatSignature, parseSignature, SIGNATURE_LENGTH, type Signature } from "../nix/signature.ts";
import {
  checkStorePathName,
  formatStorePath,
  parseStorePath,
  STORE_PATH_DIGEST_LENGTH,
  type StorePath,
  storePathBaseName,
} from "../nix/store-path.ts";
import type { PathInfo } from "../store/path-info.ts";
import { checkPathInfo } from "../store/path-info-check.ts";
import { type ContentAddressMessage, contentAddressFromMessage, contentAddressToMessage } from "./content-address-message.ts";
import { type PathInfo as SnixPathInfo, PathInfoSchema as SnixPathInfoSchema } from "./gen/snix/store/v1/pathinfo_pb.ts";
import { type PathInfo as TvixPathInfo, PathInfoSchema as TvixPathInfoSchema } from "./gen/tvix/store/v1/pathinfo_pb.ts";
import { type NodeMessage, type NodeOneof, nodeFromMessage, nodeToOneof } from "./node-message.ts";
import { addExtensions, type PathInfoExtensions, readExtensions } from "./path-info-extensions.ts";

/** Suffix of the deriver's name that tvix and snix omit on the wire. */
const DRV = ".drv";

/** Common form of the `NARInfo` of tvix and of snix. */
export interface NarInfoMessage {
  narSize: bigint;
  narSha256: Uint8Array;
  signatures: { name: string; data: Uint8Array }[];
  referenceNames: string[];
  deriver?: { name: string; digest: Uint8Array } | undefined;
  ca?: ContentAddressMessage | undefined;
}

interface PathInfoFields {
  references: Uint8Array[];
  narinfo?: NarInfoMessage | undefined;
  /** Fields that tvix and snix don't have, including our extensions. */
  $unknown?: UnknownField[] | undefined;
}

/** Common form of `tvix.store.v1.PathInfo` and `snix.store.v1.PathInfo`. */
export type PathInfoMessage = PathInfoFields & ({ node?: NodeMessage | undefined } | { entry?: NodeMessage | undefined });

/** Size and hash of a NAR, as in `PathInfo`. */
export interface NarFacts {
  /** Size of the NAR, in bytes. */
  readonly narSize: number;
  /** SHA-256 of the NAR, in SRI form. */
  readonly narHash: string;
}

/** Finds the facts that a PathInfo without narinfo lacks. */
export interface PathInfoGaps {
  /** @throws StoreError `not-found` if content is missing */
  calculateNar(node: Node): Promise<NarFacts>;
  /**
   * Returns the base name of the store path with this hash part, or `undefined` if it is unknown.
   */
  referenceName(hashPart: string): Promise<string | undefined>;
}

/**
 * Reads a PathInfo and checks every rule that needs no content. tvix's first version sometimes
 * omits `narinfo`. The NAR's size and hash and the names of the references then come from `gaps`.
 *
 * @throws StoreError `invalid`; also throws the errors of `gaps`
 */
export async function pathInfoFromMessage(message: PathInfoMessage, gaps: PathInfoGaps): Promise<PathInfo> {
  const { path, node } = readRoot(message);
  try {
    const { narinfo } = message;
    const rest = narinfo ? readNarInfo(narinfo) : { ...(await gaps.calculateNar(node)), signatures: [] };
    const further = readFurther(rest, readExtensions(message));
    const references = narinfo
      ? readReferences(message.references, narinfo.referenceNames)
      : await findReferences(message.references, path, gaps);
    const info: PathInfo = {
      storePath: formatStorePath(path),
      node,
      references: [...new Set(references)].sort(),
      ...rest,
      ...further,
    };
    checkPathInfo(info);
    return info;
  } catch (error) {
    if (!isStoreError(error, "invalid")) throw error;
    throw new StoreError("invalid", `PathInfo ${storePathBaseName(path)}: ${error.message}`, { cause: error });
  }
}

/**
 * Reads only the base name of the store path.
 *
 * @throws StoreError `invalid`
 */
export function baseNameFromMessage(message: PathInfoMessage): string {
  return storePathBaseName(readRoot(message).path);
}

function readRoot(message: PathInfoMessage): { path: StorePath; node: Node } {
  const { name, node } = nodeFromMessage("entry" in message ? message.entry : "node" in message ? message.node : undefined);
  return { path: parseStorePath(decodeUtf8(name)), node };
}

/**
 * Adds the extensions to the known facts.
 *
 * @throws StoreError `invalid` if the extensions contradict `known`
 */
function readFurther(known: Pick<PathInfo, "deriver" | "ca">, extensions: PathInfoExtensions): Pick<PathInfo, "deriver" | "ca"> {
  const { deriver = known.deriver, contentAddress: ca = known.ca } = extensions;
  if ((known.deriver ?? deriver) !== deriver || (known.ca ?? ca) !== ca)
    throw new StoreError("invalid", "it states its deriver or content address twice, with different values");
  return { ...(deriver !== undefined && { deriver }), ...(ca !== undefined && { ca }) };
}

function readNarInfo(narinfo: NarInfoMessage): Pick<PathInfo, "narSize" | "narHash" | "signatures" | "deriver" | "ca"> {
  return {
    ...narFactsFromMessage(narinfo),
    signatures: [...new Set(narinfo.signatures.map(readSignature))],
    // The wire omits `.drv` exactly once: the deriver `a.drv` on the wire is `a.drv.drv`.
    ...(narinfo.deriver && { deriver: `${storePathBaseName(readStorePath(narinfo.deriver))}${DRV}` }),
    ...(narinfo.ca && { ca: contentAddressFromMessage(narinfo.ca) }),
  };
}

/**
 * Reads the size and hash of a NAR, in a `NARInfo` or a `CalculateNARResponse`.
 *
 * @throws StoreError `invalid`
 */
export function narFactsFromMessage({ narSize, narSha256 }: { narSize: bigint; narSha256: Uint8Array }): NarFacts {
  if (narSha256.length !== HASH_LENGTHS.sha256)
    throw new StoreError("invalid", `NAR hash has ${narSha256.length} bytes instead of 32`);
  if (narSize > BigInt(Number.MAX_SAFE_INTEGER)) throw new StoreError("invalid", `NAR size ${narSize} is out of range`);
  return { narSize: Number(narSize), narHash: formatSri({ algorithm: "sha256", digest: narSha256 }) };
}

export function narFactsToMessage({ narSize, narHash }: NarFacts): { narSize: bigint; narSha256: Uint8Array } {
  return { narSize: BigInt(narSize), narSha256: parseHash(narHash).digest };
}

function readSignature(signature: Signature): string {
  if (signature.data.length !== SIGNATURE_LENGTH)
    throw new StoreError("invalid", `signature by ${quote(signature.name)} has ${signature.data.length} bytes instead of 64`);
  return formatSignature(signature);
}

function readStorePath({ name, digest }: StorePath): StorePath {
  if (digest.length !== STORE_PATH_DIGEST_LENGTH)
    throw new StoreError("invalid", `store path digest has ${digest.length} bytes instead of 20`);
  return parseStorePath(storePathBaseName({ name, digest }));
}

function readReferences(digests: readonly Uint8Array[], names: readonly string[]): string[] {
  if (digests.length !== names.length)
    throw new StoreError("invalid", `${digests.length} references, but ${names.length} reference names`);
  return names.map((name, i) => {
    const path = parseStorePath(name);
    if (storePathBaseName(path) !== name || !equalBytes(path.digest, digests[i] as Uint8Array))
      throw new StoreError("invalid", `reference name ${quote(name)} does not match the digest of reference ${i}`);
    return name;
  });
}

async function findReferences(digests: readonly Uint8Array[], self: StorePath, gaps: PathInfoGaps): Promise<string[]> {
  const references: string[] = [];
  for (const digest of digests) {
    const hashPart = hashPartFromBytes(digest);
    const name = equalBytes(digest, self.digest) ? storePathBaseName(self) : await gaps.referenceName(hashPart);
    if (name === undefined) throw new StoreError("invalid", `the name of its reference ${hashPart} is unknown`);
    references.push(name);
  }
  return references;
}

/**
 * Encodes 20 bytes as the hash part of a store path.
 *
 * @throws StoreError `invalid` for another length
 */
export function hashPartFromBytes(digest: Uint8Array): string {
  if (digest.length !== STORE_PATH_DIGEST_LENGTH)
    throw new StoreError("invalid", `store path digest has ${digest.length} bytes instead of 20`);
  return encodeNixbase32(digest);
}

/**
 * Decodes the hash part of a store path to 20 bytes.
 *
 * @throws StoreError `invalid`
 */
export function hashPartToBytes(hashPart: string): Uint8Array {
  const digest = decodeNixbase32(hashPart);
  if (digest.length !== STORE_PATH_DIGEST_LENGTH) throw new StoreError("invalid", `not a store path's hash: ${quote(hashPart)}`);
  return digest;
}

/** @throws StoreError `invalid` if `info` is invalid */
export function pathInfoToTvix(info: PathInfo): TvixPathInfo {
  const message = create(TvixPathInfoSchema, { node: { node: rootOneof(info) }, ...pathInfoFields(info) });
  return addExtensions(TvixPathInfoSchema, message, extensionsOf(info));
}

/** @throws StoreError `invalid` if `info` is invalid */
export function pathInfoToSnix(info: PathInfo): SnixPathInfo {
  const message = create(SnixPathInfoSchema, { entry: { entry: rootOneof(info) }, ...pathInfoFields(info) });
  return addExtensions(SnixPathInfoSchema, message, extensionsOf(info));
}

function rootOneof(info: PathInfo): NodeOneof {
  return nodeToOneof(info.node, utf8(storePathBaseName(parseStorePath(info.storePath))));
}

function pathInfoFields(info: PathInfo): PathInfoFields {
  checkPathInfo(info);
  const deriver = info.deriver === undefined ? undefined : deriverToMessage(info.deriver);
  const ca = info.ca === undefined ? undefined : contentAddressToMessage(info.ca);
  return {
    references: info.references.map((reference) => parseStorePath(reference).digest),
    narinfo: {
      ...narFactsToMessage(info),
      signatures: info.signatures.map(parseSignature),
      referenceNames: [...info.references],
      ...(deriver && { deriver }),
      ...(ca && { ca }),
    },
  };
}

/** Returns the facts that `pathInfoFields` can't express. */
function extensionsOf({ deriver, ca }: PathInfo): PathInfoExtensions {
  return {
    deriver: deriver !== undefined && !deriverToMessage(deriver) ? deriver : undefined,
    contentAddress: ca !== undefined && !contentAddressToMessage(ca) ? ca : undefined,
  };
}

/**
 * Converts a deriver. Returns `undefined` if the message can't hold it, because it isn't a valid
 * name followed by `.drv`.
 */
function deriverToMessage(deriver: string): StorePath | undefined {
  const { digest, name } = parseStorePath(deriver);
  if (!name.endsWith(DRV)) return undefined;
  const path = { digest, name: name.slice(0, -DRV.length) };
  return isStorePathName(path.name) ? path : undefined;
}

function isStorePathName(name: string): boolean {
  try {
    checkStorePathName(name);
    return true;
  } catch {
    return false;
  }
}
