import { formatNix32, type NixHash } from "./hash.ts";
import { formatStorePath, parseStorePath, STORE_DIR } from "./store-path.ts";

/** The facts that a signature vouches for. */
export interface FingerprintInput {
  /** Absolute store path, or its base name. */
  readonly storePath: string;
  /** SHA-256 of the NAR. */
  readonly narHash: NixHash;
  /** Size of the NAR, in bytes. */
  readonly narSize: number;
  /** Base names or absolute paths, in any order. */
  readonly references: Iterable<string>;
}

/**
 * Makes the text that is signed for a store path: `1;` path `;` NAR hash `;` NAR size `;`
 * references. The references are sorted and without duplicates.
 *
 * @throws StoreError `invalid` if one of the paths is not a store path
 */
export function fingerprint(input: FingerprintInput, storeDir: string = STORE_DIR): string {
  const absolute = (path: string) => formatStorePath(parseStorePath(path, storeDir), storeDir);
  const references = [...new Set(Array.from(input.references, absolute))].sort();
  return `1;${absolute(input.storePath)};${formatNix32(input.narHash)};${input.narSize};${references.join(",")}`;
}
