import { fromBase64Url } from "../bytes.ts";
import { decodeNode, MAX_UNNAMED_NODE_LENGTH } from "../castore/directory-codec.ts";
import type { Node } from "../castore/node.ts";
import { isStoreError } from "../error.ts";
import type { NarInfo } from "../nix/narinfo.ts";

/**
 * NAR URL of tvix's, snix's and our own caches: relative to the cache, with the node as base64url
 * and the size of the NAR in bytes.
 */
const CASTORE_URL = /^nar\/(?:tvix|snix)-castore\/([A-Za-z0-9_-]+)\?narsize=([0-9]+)$/;

/** Base64url characters of the longest node. Four characters encode three bytes. */
const MAX_LENGTH = Math.ceil((MAX_UNNAMED_NODE_LENGTH * 4) / 3);

/**
 * Returns the castore node that the NAR URL of `info` contains. Nobody signs this node, so the
 * caller must verify the content.
 *
 * @returns `undefined` if the URL contains no valid node. This is not an error: a cache may name
 *   its files as it likes.
 */
export function nodeOfNarUrl({ url, narSize }: Pick<NarInfo, "url" | "narSize">): Node | undefined {
  const [, encoded = "", size] = CASTORE_URL.exec(url) ?? [];
  if (encoded === "" || encoded.length > MAX_LENGTH || Number(size) !== narSize) return undefined;
  try {
    const { name, node } = decodeNode(fromBase64Url(encoded));
    return name.length === 0 ? node : undefined;
  } catch (error) {
    if (isStoreError(error, "invalid")) return undefined;
    throw error;
  }
}
