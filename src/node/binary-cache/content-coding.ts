import { COMPRESSIONS, type Compression } from "../../compression/decompress.ts";
import type { CacheResponse } from "./exchange.ts";

/**
 * Maps `Content-Encoding` names to the compressions that can be read. Nix sends its own names, even
 * those that HTTP doesn't define: for example, `narinfo-compression=none` makes it send
 * `Content-Encoding: none`.
 */
const CODINGS: ReadonlyMap<string, Compression> = new Map([
  ...COMPRESSIONS.map((name): [string, Compression] => [name, name]),
  ["identity", "none"],
  ["x-gzip", "gzip"],
]);

/**
 * @returns `undefined` for a coding that can't be decoded, and for several codings
 */
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

/** Codings to name in `refuseCoding`: those that can be read. */
export const READABLE_CODINGS: readonly string[] = [...CODINGS.keys()].filter((name) => name !== "none" && name !== "x-gzip");
