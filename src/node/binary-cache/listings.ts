import { EMPTY_BYTES, toBase64 } from "../../bytes.ts";
import { encodeNode } from "../../castore/directory-codec.ts";
import type { Node } from "../../castore/node.ts";
import type { CastoreServices } from "../../castore/services.ts";
import { renderNarListing } from "../../store/nar-listing.ts";
import { entityTag, matchingTag, notModified } from "./conditional.ts";
import type { CacheResponse, Exchange } from "./exchange.ts";

/**
 * Answers with the listing of `node`. Walks the tree twice: first for the length, then for the
 * body. So an error still gets its own status, and the listing is never in memory as a whole.
 *
 * @throws StoreError as `renderNarListing`
 */
export async function sendListing(castore: CastoreServices, node: Node, exchange: Exchange): Promise<CacheResponse> {
  const { signal } = exchange;
  const etag = entityTag(toBase64(encodeNode(EMPTY_BYTES, node)));
  const headers = { "content-type": "application/json", "cache-control": "no-cache", etag };
  if (matchingTag(exchange.header("if-none-match"), [etag])) return notModified(headers, etag);
  let length = 0;
  for await (const text of renderNarListing(castore, node, { signal })) length += Buffer.byteLength(text);
  const body = (async function* () {
    for await (const text of renderNarListing(castore, node, { signal })) yield Buffer.from(text);
  })();
  return { status: 200, headers: { ...headers, "content-length": String(length) }, body };
}
