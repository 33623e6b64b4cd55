import { resolve } from "node:path";
import { UsageError } from "../usage-error.ts";

/** An address, split at the first colon. */
export interface AddressText<Scheme extends string = string> {
  /** The whole address, for messages. */
  readonly text: string;
  readonly scheme: Scheme;
  /** The text after the colon. */
  readonly rest: string;
}

/**
 * Parses an address whose text after the colon is a path. A path directly after the colon
 * (`file:DIR`) is relative to the working directory and not decoded. A path in the form of a URL
 * (`file:///DIR`) is percent-encoded.
 *
 * @returns the absolute path
 * @throws UsageError if there is no path, or a host before it
 */
export function parsePath({ text, rest }: AddressText): string {
  let path = rest;
  if (rest.startsWith("//")) {
    const slash = rest.indexOf("/", 2);
    if (slash !== 2) throw new UsageError(`the address ${text} names a host; write ${text.slice(0, -rest.length)}///PATH`);
    path = decodePercent(text, rest.slice(slash));
  }
  if (path === "" || path.includes("\0")) throw new UsageError(`the address ${text} has no path`);
  return resolve(path);
}

/**
 * Parses an address that is a URL with a prefix before its scheme, such as `grpc+http://HOST`.
 *
 * @param prefix the prefix with its plus, such as `grpc+`
 * @returns the URL without the prefix; `undefined` if it is no URL, or has no host, or has a
 *   fragment or credentials
 */
export function parsePrefixedUrl({ text, rest }: AddressText, prefix: string): URL | undefined {
  const address = text.slice(prefix.length);
  const url = rest.startsWith("//") && URL.canParse(address) ? new URL(address) : undefined;
  return !url?.hostname || url.hash || url.username || url.password ? undefined : url;
}

/**
 * Decodes percent-encoding in an address.
 *
 * @throws UsageError if the encoding is invalid
 */
export function decodePercent(text: string, encoded: string): string {
  try {
    return decodeURIComponent(encoded);
  } catch {
    throw new UsageError(`the address ${text} has invalid percent-encoding`);
  }
}
