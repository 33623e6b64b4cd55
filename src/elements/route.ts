import { concatBytes, decodeUtf8Strict } from "../bytes.ts";
import { parseStorePath, STORE_DIR } from "../nix/store-path.ts";

/**
 * State of the viewer, encoded in the part of the page's address after `#`:
 * `#/nix/store/<hash>-<name>/path/inside`.
 */
export interface Route {
  /** Absolute store path; undefined if only the list of store paths is shown. */
  storePath?: string | undefined;
  /** Path within the store path, with `/` between names; empty for the root. */
  path: Uint8Array;
}

/** Path of the root of a store path. */
export const ROOT = new Uint8Array(0);

const SLASH = new Uint8Array([0x2f]);
const NOWHERE: Route = { path: ROOT };

/** Parses `location.hash`. Any other text stands for the list of store paths. */
export function parseRoute(hash: string): Route {
  const prefix = `#${STORE_DIR}/`;
  if (!hash.startsWith(prefix)) return NOWHERE;
  const [base = "", ...encoded] = hash.slice(prefix.length).split("/");
  const baseName = decodeUtf8Strict(decodePercent(base));
  if (baseName === undefined) return NOWHERE;
  try {
    parseStorePath(baseName);
  } catch {
    return NOWHERE;
  }
  const names = encoded.map(decodePercent).filter((name) => name.length > 0);
  return { storePath: `${STORE_DIR}/${baseName}`, path: joinPath(names) };
}

export function formatRoute(route: Route): string {
  if (route.storePath === undefined) return "#/";
  const inside = route.path.length === 0 ? "" : `/${splitPath(route.path).map(encodePercent).join("/")}`;
  return `#${route.storePath}${inside}`;
}

export function joinPath(names: readonly Uint8Array[]): Uint8Array {
  return concatBytes(names.flatMap((name, i) => (i === 0 ? [name] : [SLASH, name])));
}

/** Splits a path into its names; the root has none. */
export function splitPath(path: Uint8Array): Uint8Array[] {
  const names: Uint8Array[] = [];
  let start = 0;
  for (let i = 0; i <= path.length; i++) {
    if (i < path.length && path[i] !== 0x2f) continue;
    if (i > start) names.push(path.subarray(start, i));
    start = i + 1;
  }
  return names;
}

// Encode bytes, not characters: a name need not be UTF-8, and its address must still lead back to
// it.
function encodePercent(name: Uint8Array): string {
  let text = "";
  for (const byte of name) {
    const character = String.fromCharCode(byte);
    text += /[A-Za-z0-9._~+=@,-]/.test(character) ? character : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return text;
}

function decodePercent(text: string): Uint8Array {
  const bytes: Uint8Array[] = [];
  const encoder = new TextEncoder();
  for (const [part] of text.matchAll(/%[0-9A-Fa-f]{2}|[^%]+|%/g)) {
    bytes.push(part.length === 3 && part[0] === "%" ? new Uint8Array([Number.parseInt(part.slice(1), 16)]) : encoder.encode(part));
  }
  return concatBytes(bytes);
}
