import { COMPRESSIONS, type Compression } from "../../compression/decompress.ts";
import type { CacheResponse } from "./exchange.ts";

/**
 * How `Content-Encoding` names what can be decoded. Nix sends the names that it has for compressions, also where HTTP has no such coding:
 * `narinfo-compression=none` becomes `Content-Encoding: none`.
 */
const CODINGS: ReadonlyMap<string, Compression> = new Map([
  ...COMPRESSIONS.map((name): [string, Compression] => [name, name]),
  ["identity", "none"],
  ["x-gzip", "gzip"],
]);

/** @returns `undefined` for a coding that can't be decoded, or for several */
export function parseContentCoding(header: string | undefined): Compression | undefined {
  return CODINGS.get((header ?? "").trim().toLowerCase() || "identity");
}

/** Refuses a body for its coding, and tells which ones are read (RFC 9110, 15.5.16). */
export function refuseCoding(coding: string, accepted: readonly string[]): CacheResponse {
  return {
    status: 415,
    headers: { "content-type": "text/plain; charset=utf-8", "accept-encoding": accepted.join(", ") },
    body: `Content-Encoding ${coding} can't be read here: send ${accepted.join(", ")}\n`,
  };
}

/** For `refuseCoding`. */
export const READABLE_CODINGS: readonly string[] = [...CODINGS.keys()].filter((name) => name !== "none" && name !== "x-gzip");
