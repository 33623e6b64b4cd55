import type { Node } from "../castore/node.ts";

/**
 * Facts about a store path. Strings have the form that Nix shows, so a page needs no parser.
 * `checkPathInfo` checks the form.
 */
export interface PathInfo {
  /** Absolute path, for example `/nix/store/<hash>-<name>`. */
  readonly storePath: string;
  /** Root node of the content. */
  readonly node: Node;
  /** SHA-256 of the content as a NAR, in SRI form: `sha256-<base64>`. */
  readonly narHash: string;
  /** Size of the NAR in bytes; never 0. */
  readonly narSize: number;
  /**
   * Base names of the store paths that this one refers to, possibly including itself; sorted,
   * without repetition.
   */
  readonly references: readonly string[];
  /**
   * Base name of the derivation that built the path. It usually ends in `.drv`, but Nix accepts any
   * name.
   */
  readonly deriver?: string | undefined;
  /** Content address in NARInfo's form: `text:sha256:...` or `fixed:[r:|git:]<algorithm>:...`. */
  readonly ca?: string | undefined;
  /** Signatures in the form `<key name>:<base64 of 64 bytes>`. */
  readonly signatures: readonly string[];
}
