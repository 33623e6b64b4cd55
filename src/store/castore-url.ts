import { fromBase64Url } from "../bytes.ts";
import { decodeNode } from "../castore/directory-codec.ts";
import type { Node } from "../castore/node.ts";
import { isStoreError } from "../error.ts";
import type { NarInfo } from "../nix/narinfo.ts";

/** As tvix's and snix's caches write it, and ours: relative to the cache, the node as base64url, the NAR's size. */
const CASTORE_URL = /^nar\/(?:tvix|snix)-castore\/([A-Za-z0-9_-]+)\?narsize=([0-9]+)$/;

/** Characters of the longest node: 4096 bytes. */
const MAX_LENGTH = 5462;

/**
 * The castore node that the NAR's URL of `info` holds; `undefined` if it holds none that makes sense, which is no fault of a cache: it may
 * name its files as it likes. Nobody signs it.
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
