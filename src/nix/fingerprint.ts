import { formatNix32, type NixHash } from "./hash.ts";
import { formatStorePath, parseStorePath, STORE_DIR } from "./store-path.ts";

/** What a signature vouches for. */
export interface FingerprintInput {
  /** Absolute, or a base name. */
  readonly storePath: string;
  /** A SHA-256. */
  readonly narHash: NixHash;
  /** Bytes. */
  readonly narSize: number;
  /** Base names or absolute paths, in any order. */
  readonly references: Iterable<string>;
}

/**
 * The text that is signed for a store path: `1;` path `;` NAR hash `;` NAR size `;` references, sorted and each once.
 *
 * @throws StoreError `invalid` if one of the paths is not a store path.
 */
export function fingerprint(input: FingerprintInput, storeDir: string = STORE_DIR): string {
  const absolute = (path: string) => formatStorePath(parseStorePath(path, storeDir), storeDir);
  const references = [...new Set(Array.from(input.references, absolute))].sort();
  return `1;${absolute(input.storePath)};${formatNix32(input.narHash)};${input.narSize};${references.join(",")}`;
}
