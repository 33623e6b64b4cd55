import { toHex } from "../../bytes.ts";
import type { CastoreServices } from "../../castore/services.ts";
import { StoreError } from "../../error.ts";
import { checkStorePathName, parseStorePath } from "../../nix/store-path.ts";
import { iterate } from "../../stream.ts";
import { DOWNLOAD_MEMORY } from "../transfer.ts";
import { matchingTag, notModified } from "./conditional.ts";
import type { CacheResponse, Exchange } from "./exchange.ts";
import type { CacheUploads, UploadedBlob } from "./uploads.ts";

/**
 * Returns the name of a log, from a request's target `log/<name>`. A derivation's name may contain
 * `?`, which Nix doesn't encode, so the query can be part of the name.
 *
 * @param segment last segment of the path, decoded
 * @param url target of the request
 */
export function logName(segment: string, url: string): string {
  const query = url.indexOf("?");
  if (query < 0 || segment.endsWith(".drv")) return segment;
  const rest = url.slice(query);
  try {
    return segment + decodeURIComponent(rest);
  } catch {
    return segment + rest;
  }
}

/**
 * Checks that `text` is the base name of a derivation, and returns it. Nix names logs by base names
 * (`BinaryCacheStore::getBuildLogExact` and `addBuildLog` in src/libstore/binary-cache-store.cc),
 * so an absolute path is refused.
 *
 * @throws StoreError `invalid` if `text` is not a derivation's base name
 */
export function derivationName(text: string): string {
  const { name } = parseStorePath(text);
  checkStorePathName(name);
  if (text.includes("/")) throw new StoreError("invalid", `${text} is not the base name of a derivation`);
  if (!name.endsWith(".drv")) throw new StoreError("invalid", `${text} is not a derivation`);
  return text;
}

/**
 * Answers with the build log of the derivation `name`.
 *
 * @throws StoreError `not-found` if there is no log, or its content is gone
 */
export async function sendLog(
  { blobs }: CastoreServices,
  uploads: CacheUploads,
  exchange: Exchange,
  name: string,
  isHead: boolean,
): Promise<CacheResponse> {
  const { signal } = exchange;
  const log = await uploads.log(derivationName(name));
  if (!log) throw new StoreError("not-found", `the cache has no log of ${name}`);
  const etag = `"${toHex(log.digest)}"`;
  const headers = { "content-type": "text/plain; charset=utf-8", "cache-control": "no-cache", etag };
  if (matchingTag(exchange.header("if-none-match"), [etag])) return notModified(headers, etag);
  const sized = { ...headers, "content-length": String(log.size) };
  if (isHead) return { status: 200, headers: sized };
  await exchange.reserve(DOWNLOAD_MEMORY);
  const stream = await blobs.open(log.digest, { signal });
  if (!stream) throw new StoreError("not-found", `the log of ${name} is no longer in the store`);
  return { status: 200, headers: sized, body: iterate(stream, signal) };
}

/** Stores a log as a blob. */
export async function receiveLog(
  { blobs }: CastoreServices,
  content: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<UploadedBlob> {
  const writer = await blobs.create({ signal });
  try {
    for await (const piece of content) await writer.write(piece);
  } catch (error) {
    await writer.abort(error);
    throw error;
  }
  return writer.close();
}
