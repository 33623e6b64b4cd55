import { EMPTY_BYTES, toBase64Url } from "../bytes.ts";
import { encodeNode } from "../castore/directory-codec.ts";
import type { Node } from "../castore/node.ts";
import { formatContentAddress, parseContentAddress } from "../nix/content-address.ts";
import { formatSri, parseHash } from "../nix/hash.ts";
import { formatNarInfo, type NarInfo } from "../nix/narinfo.ts";
import { formatSignature, parseSignature } from "../nix/signature.ts";
import type { PathInfo } from "./path-info.ts";
import { normalizePathInfo } from "./path-info-check.ts";

/** Where a binary cache of ours serves the NAR of `node`, relative to its own address: the URL holds the node itself. */
export function narUrl(node: Node, narSize: number): string {
  return `nar/tvix-castore/${toBase64Url(encodeNode(EMPTY_BYTES, node))}?narsize=${narSize}`;
}

/** The NARInfo file of `info` as a binary cache of ours serves it: the NAR as it is, uncompressed. */
export function renderNarInfo(info: PathInfo): string {
  return formatNarInfo({
    storePath: info.storePath,
    url: narUrl(info.node, info.narSize),
    compression: "none",
    narHash: parseHash(info.narHash),
    narSize: info.narSize,
    references: [...info.references],
    deriver: info.deriver,
    signatures: info.signatures.map(parseSignature),
    ca: info.ca === undefined ? undefined : parseContentAddress(info.ca),
  });
}

/** What `narInfo` says of content that is in a store as `node`. References are put in order. */
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
