import { isStoreError } from "../../error.ts";
import { entityTag, matchingTag, notModified } from "./conditional.ts";
import { parseContentCoding, READABLE_CODINGS, refuseCoding } from "./content-coding.ts";
import type { CacheResponse, Exchange } from "./exchange.ts";

/**
 * Runs `write` and answers 201, or answers 412 if the request's condition no longer holds. Writes
 * to the same address run one at a time.
 */
export type Commit = (write: () => Promise<unknown>) => Promise<CacheResponse>;

/** Operations on one address. */
export interface Resource {
  /** Canonical name of the address, even if the address can be spelled in several ways. */
  readonly name: string;
  /**
   * @param isHead whether only the headers are needed: for HEAD, and for the condition of a PUT
   */
  get(exchange: Exchange, isHead: boolean): Promise<CacheResponse>;
  /** Reads the whole body before it commits, so that a slow client delays nobody else. */
  put?(exchange: Exchange, commit: Commit): Promise<CacheResponse>;
  /** The `Content-Encoding` that a PUT may have. By default, every coding that can be decoded. */
  readonly coding?: "identity" | "any" | undefined;
}

/** Adds an entity tag to a text response, and answers 304 if the client already has the text. */
export async function getFrom(resource: Resource, exchange: Exchange): Promise<CacheResponse> {
  const response = await resource.get(exchange, exchange.method === "HEAD");
  if (response.status !== 200 || typeof response.body !== "string") return response;
  const etag = entityTag(response.body);
  const headers = { ...response.headers, etag };
  if (matchingTag(exchange.header("if-none-match"), [etag])) return notModified(headers, etag);
  return { ...response, headers };
}

/** Returns the answer to a PUT in a coding that the resource can't read, otherwise `undefined`. */
export function refusedCoding({ coding }: Resource, exchange: Exchange): CacheResponse | undefined {
  const header = exchange.header("content-encoding");
  const parsed = parseContentCoding(header);
  if (coding === "any" || parsed === "none" || (parsed && coding === undefined)) return undefined;
  return refuseCoding(header ?? "", coding === "identity" ? ["identity"] : READABLE_CODINGS);
}

/**
 * Returns the answer 412 to a PUT whose `If-None-Match` names the current content (RFC 9110,
 * 13.1.2). A client sends `*` so that it doesn't overwrite anything.
 */
export async function failedCondition(resource: Resource, exchange: Exchange): Promise<CacheResponse | undefined> {
  const header = exchange.header("if-none-match");
  if (header === undefined) return undefined;
  const current = await resource.get(exchange, true).catch((error: unknown) => {
    if (isStoreError(error, "not-found")) return undefined;
    throw error;
  });
  if (!current) return undefined;
  const etag = typeof current.body === "string" ? entityTag(current.body) : current.headers?.etag;
  return current.status === 304 || (etag !== undefined && matchingTag(header, [etag])) ? { status: 412 } : undefined;
}
