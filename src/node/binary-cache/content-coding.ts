import { COMPRESSIONS, type Compression } from "../../compression/decompress.ts";
import type { CacheResponse } from "./exchange.ts";

/**
 * Names in `Content-Encoding` of the compressions that are read. Nix sends its own names of
 * compressions, also if HTTP has no such coding: `narinfo-compression=none` becomes
 * `Content-Encoding: none`.
 */
const CODINGS: ReadonlyMap<string, Compression> = new Map([
  ...COMPRESSIONS.map((name): [string, Compression] => [name, name]),
  ["identity", "none"],
  ["x-gzip", "gzip"],
]);

/** @returns `undefined` for a coding that can't be decoded, and for more than one coding */
export function parseContentCoding(header: string | undefined): Compression | undefined {
  return CODINGS.get((header ?? "").trim().toLowerCase() || "identity");
}

/** The answer to a body in another coding than the `accepted` ones (RFC 9110, 15.5.16). */
export function refuseCoding(coding: string, accepted: readonly string[]): CacheResponse {
  return {
    status: 415,
    headers: { "content-type": "text/plain; charset=utf-8", "accept-encoding": accepted.join(", ") },
    body: `Content-Encoding ${coding} can't be read here; use ${accepted.join(", ")}\n`,
  };
}

/** The codings that are read, for `refuseCoding`. */
export const READABLE_CODINGS: readonly string[] = [...CODINGS.keys()].filter((name) => name !== "none" && name !== "x-gzip");
