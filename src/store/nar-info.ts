import { EMPTY_BYTES, toBase64Url } from "../bytes.ts";
import { encodeNode } from "../castore/directory-codec.ts";
import type { Node } from "../castore/node.ts";
import { formatContentAddress, parseContentAddress } from "../nix/content-address.ts";
import { formatSri, parseHash } from "../nix/hash.ts";
import { formatNarInfo, type NarInfo } from "../nix/narinfo.ts";
import { formatSignature, parseSignature } from "../nix/signature.ts";
import { formatStorePath, parseStorePath } from "../nix/store-path.ts";
import type { PathInfo } from "./path-info.ts";
import { normalizePathInfo } from "./path-info-check.ts";

/** The part of a NAR's URL that says that the URL contains a node. */
export type NarUrlScheme = "tvix-castore" | "snix-castore";

export interface NarInfoFormat {
  /** `tvix-castore` by default. */
  readonly urls?: NarUrlScheme | undefined;
  /** Store directory of the readers; `/nix/store` by default. */
  readonly storeDir?: string | undefined;
}

/**
 * Returns the URL at which a binary cache of ours serves the NAR of `node`, relative to the cache's
 * address. The URL contains the node itself.
 */
export function narUrl(node: Node, narSize: number, scheme: NarUrlScheme = "tvix-castore"): string {
  return `nar/${scheme}/${toBase64Url(encodeNode(EMPTY_BYTES, node))}?narsize=${narSize}`;
}

/**
 * Formats the NARInfo file of `info` for a binary cache of ours. The NAR is uncompressed, so the
 * file's hash and size are those of the NAR. Both are always present: Nix up to 2.34 aborts when it
 * writes back a NARInfo without `FileHash`, for example to add a signature.
 */
export function renderNarInfo(info: PathInfo, { urls, storeDir }: NarInfoFormat = {}): string {
  const narHash = parseHash(info.narHash);
  const narInfo = {
    storePath: formatStorePath(parseStorePath(info.storePath), storeDir),
    url: narUrl(info.node, info.narSize, urls),
    compression: "none",
    fileHash: narHash,
    fileSize: info.narSize,
    narHash,
    narSize: info.narSize,
    references: [...info.references],
    deriver: info.deriver,
    signatures: info.signatures.map(parseSignature),
    ca: info.ca === undefined ? undefined : parseContentAddress(info.ca),
  };
  return formatNarInfo(narInfo, storeDir);
}

/**
 * Returns the PathInfo that `narInfo` states for content that the store has as `node`. References
 * are sorted.
 */
export function pathInfoFromNarInfo(narInfo: NarInfo, node: Node): PathInfo {
  return normalizePathInfo({
    storePath: narInfo.storePath,
    node,
    narHash: formatSri(narInfo.narHash),
    narSize: narInfo.narSize,
    references: narInfo.references,
    deriver: narInfo.deriver,
    ca: narInfo.ca && formatContentAddress(narInfo.ca),
    signatures: narInfo.signatures.map(formatSignature),
  });
}
