import { createHash } from "node:crypto";
import type { CacheResponse } from "./exchange.ts";

/** Returns the strong entity tag of the body `text`. */
export function entityTag(text: string): string {
  return `"${createHash("sha256").update(text).digest("base64url")}"`;
}

/**
 * Finds the tag of `tags` that an `If-None-Match` header names (RFC 9110, 13.1.2). `*` names the
 * first one. The comparison is weak: it ignores `W/`.
 */
export function matchingTag(header: string | undefined, tags: readonly string[]): string | undefined {
  if (header === undefined) return undefined;
  if (header.trim() === "*") return tags[0];
  // A tag may contain commas, so splitting the list at them would break it.
  const listed = new Set(header.match(/"[\x21\x23-\x7e\x80-\xff]*"/g) ?? []);
  return tags.find((tag) => listed.has(tag.replace(/^W\//, "")));
}

/** Headers that a 304 repeats (RFC 9110, 15.4.5). */
const REPEATED = new Set(["cache-control", "etag", "vary"]);

/** The answer to a client that has the content already, under the tag `etag`. */
export function notModified(headers: Readonly<Record<string, string>>, etag: string): CacheResponse {
  const repeated = Object.entries(headers).filter(([name]) => REPEATED.has(name));
  return { status: 304, headers: { ...Object.fromEntries(repeated), etag } };
}
