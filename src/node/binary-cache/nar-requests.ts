import { fromBase64Url } from "../../bytes.ts";
import { decodeNode, MAX_UNNAMED_NODE_LENGTH } from "../../castore/directory-codec.ts";
import type { Node } from "../../castore/node.ts";
import type { CastoreServices } from "../../castore/services.ts";
import { isStoreError, StoreError } from "../../error.ts";
import { renderNar } from "../../store/nar.ts";
import { iterate } from "../../stream.ts";
import { DOWNLOAD_MEMORY } from "../transfer.ts";
import { parseByteRange } from "./byte-range.ts";
import type { ClaimedSizes } from "./claimed-size.ts";
import { entityTag, matchingTag, notModified } from "./conditional.ts";
import { compressedAs } from "./encode.ts";
import type { CacheResponse, Exchange } from "./exchange.ts";
import { CODINGS, chooseCoding } from "./negotiate.ts";
import { requireRoot } from "./root.ts";
import type { UploadedNar } from "./uploads.ts";

const NAR_TYPE = "application/x-nix-nar";
/** The URL identifies the content, so the answer never changes. */
const IMMUTABLE = { "cache-control": "public, max-age=31536000, immutable" };

/**
 * Answers with the NAR of the node that the URL encodes: `nar/tvix-castore/<node>?narsize=<size>`.
 *
 * @throws StoreError `invalid` if the size is missing or wrong, or if the node is too long;
 *   `not-found` if the URL holds no node, or if the node is not in the store
 */
export async function narOfNode(
  castore: CastoreServices,
  sizes: ClaimedSizes,
  exchange: Exchange,
  encoded: string,
  isHead: boolean,
): Promise<CacheResponse> {
  const narSize = parseNarSize(exchange.url.searchParams.get("narsize"));
  const node = parseNode(encoded);
  const etag = entityTag(encoded);
  const headers = { ...IMMUTABLE, "content-type": NAR_TYPE, "accept-ranges": "bytes", vary: "Accept-Encoding", etag };
  await sizes.check(etag, node, narSize, exchange.signal);
  // Each coding has its own tag, and the client may have any of them.
  const forms = [etag, ...CODINGS.map((coding) => codedTag(etag, coding))];
  const had = matchingTag(exchange.header("if-none-match"), forms);
  if (had !== undefined) return notModified(headers, had);

  // A client that began with another form, for example a compressed one, must not continue with
  // this form.
  const isSame = [undefined, etag].includes(exchange.header("if-range"));
  const range = exchange.method === "GET" && isSame ? parseByteRange(exchange.header("range"), narSize) : undefined;
  if (range === "unsatisfiable") return { status: 416, headers: { ...headers, "content-range": `bytes */${narSize}` } };
  if (isHead) return { status: 200, headers: { ...headers, "content-length": String(narSize) } };
  const { offset, length } = range ?? { offset: 0, length: narSize };
  await exchange.reserve(DOWNLOAD_MEMORY);
  const nar = renderNar(castore, node, { signal: exchange.signal, ...(range && { range }) });
  const body = await begun(exactly(length, iterate(nar, exchange.signal), `the NAR of ${encoded}`));
  if (range) {
    const contentRange = `bytes ${offset}-${offset + length - 1}/${narSize}`;
    return { status: 206, headers: { ...headers, "content-range": contentRange, "content-length": String(length) }, body };
  }
  const coding = chooseCoding(exchange.header("accept-encoding"), exchange.isNear);
  if (coding === "identity") return { status: 200, headers: { ...headers, "content-length": String(length) }, body };
  const encodedHeaders = { ...headers, etag: codedTag(etag, coding), "content-encoding": coding };
  return { status: 200, headers: encodedHeaders, body: compressedAs(body, coding) };
}

function codedTag(etag: string, coding: string): string {
  return `${etag.slice(0, -1)}-${coding}"`;
}

/** Answers with a NAR under the name and in the compression in which it was uploaded. */
export async function uploadedNar(
  castore: CastoreServices,
  exchange: Exchange,
  name: string,
  nar: UploadedNar,
  isHead: boolean,
): Promise<CacheResponse> {
  const { signal } = exchange;
  const { node, narSize, compression, file } = nar;
  // Different versions of this program may compress a NAR differently.
  const isExact = compression === "none" || file !== undefined;
  const etag = `${isExact ? "" : "W/"}"${name}"`;
  const headers = { ...IMMUTABLE, "content-type": NAR_TYPE, etag };
  if (!file) await requireRoot(castore, node, signal);
  if (matchingTag(exchange.header("if-none-match"), [etag])) return notModified(headers, etag);
  if (file) {
    const sized = { ...headers, "content-length": String(file.size) };
    if (isHead) return { status: 200, headers: sized };
    await exchange.reserve(DOWNLOAD_MEMORY);
    const stream = await castore.blobs.open(file.digest, { signal });
    if (!stream) throw new StoreError("not-found", "the uploaded file is no longer in the store");
    return { status: 200, headers: sized, body: iterate(stream, signal) };
  }
  const sized = compression === "none" ? { ...headers, "content-length": String(narSize) } : headers;
  if (isHead) return { status: 200, headers: sized };
  await exchange.reserve(DOWNLOAD_MEMORY);
  const body = await begun(exactly(narSize, iterate(renderNar(castore, node, { signal }), signal), "the NAR"));
  return { status: 200, headers: sized, body: compressedAs(body, compression) };
}

function parseNarSize(text: string | null): number {
  if (text === null || !/^[0-9]{1,15}$/.test(text))
    throw new StoreError("invalid", "the URL has no valid narsize parameter for the NAR's size");
  return Number(text);
}

function parseNode(encoded: string): Node {
  // Four characters of Base64 encode three bytes.
  if (encoded.length > (MAX_UNNAMED_NODE_LENGTH / 3) * 4 + 4) throw tooLong();
  try {
    const bytes = fromBase64Url(encoded);
    if (bytes.length > MAX_UNNAMED_NODE_LENGTH) throw tooLong();
    const { name, node } = decodeNode(bytes);
    if (name.length > 0) throw new StoreError("invalid", "the node has a name");
    return node;
  } catch (cause) {
    if (isTooLong(cause)) throw cause;
    throw new StoreError("not-found", "the URL does not hold a node", { cause });
  }
}

const TOO_LONG = `the URL's node is longer than ${MAX_UNNAMED_NODE_LENGTH} bytes`;
const tooLong = (): StoreError => new StoreError("invalid", TOO_LONG);
const isTooLong = (error: unknown): boolean => isStoreError(error, "invalid") && error.message === TOO_LONG;

/**
 * Passes the bytes on, and throws if their number is not `length`, which was declared to the
 * client.
 */
async function* exactly(length: number, bytes: AsyncIterable<Uint8Array>, what: string): AsyncGenerator<Uint8Array> {
  let rest = length;
  for await (const piece of bytes) {
    if (piece.length > rest) throw new StoreError("invalid", `${what} is longer than its URL says`);
    rest -= piece.length;
    yield piece;
  }
  if (rest > 0) throw new StoreError("invalid", `${what} is shorter than its URL says`);
}

/**
 * Reads the first piece before it returns, so that an error at the start is known before anything
 * is sent.
 */
async function begun(bytes: AsyncGenerator<Uint8Array>): Promise<AsyncGenerator<Uint8Array>> {
  const first = await bytes.next();
  return (async function* () {
    if (!first.done) yield first.value;
    yield* bytes;
  })();
}
