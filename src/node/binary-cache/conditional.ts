import { createHash } from "node:crypto";
import type { CacheResponse } from "./exchange.ts";

/** A strong entity tag for a body that is this text. */
export function entityTag(text: string): string {
  return `"${createHash("sha256").update(text).digest("base64url")}"`;
}

/**
 * The tag of `tags` that an `If-None-Match` header names (RFC 9110, 13.1.2): `*` names the first one. Tags are compared weakly, without
 * their `W/`.
 */
export function matchingTag(header: string | undefined, tags: readonly string[]): string | undefined {
  if (header === undefined) return undefined;
  if (header.trim() === "*") return tags[0];
  // Commas can be part of a tag, so the list is not split at them.
  const listed = new Set(header.match(/"[\x21\x23-\x7e\x80-\xff]*"/g) ?? []);
  return tags.find((tag) => listed.has(tag.replace(/^W\//, "")));
}

/** Headers that a 304 repeats (RFC 9110, 15.4.5). */
const REPEATED = new Set(["cache-control", "etag", "vary"]);

/** Says that the client has the content already, whose tag is `etag`. */
export function notModified(headers: Readonly<Record<string, string>>, etag: string): CacheResponse {
  const repeated = Object.entries(headers).filter(([name]) => REPEATED.has(name));
  return { status: 304, headers: { ...Object.fromEntries(repeated), etag } };
}
