import type { Node } from "../castore/node.ts";

/**
 * What is known of a store path. Strings are in the form in which Nix shows them, so that a page needs no parser; `checkPathInfo`
 * says what they must be.
 */
export interface PathInfo {
  /** Absolute, for example `/nix/store/<hash>-<name>`. */
  readonly storePath: string;
  /** The content. */
  readonly node: Node;
  /** SHA-256 of the content as a NAR, in SRI form: `sha256-<base64>`. */
  readonly narHash: string;
  /** Length of that NAR in bytes, never 0. */
  readonly narSize: number;
  /** Base names of the store paths that this one refers to (itself possibly among them), sorted, none twice. */
  readonly references: readonly string[];
  /** Base name of the derivation that built it. As a rule it ends in `.drv`, but Nix takes any. */
  readonly deriver?: string | undefined;
  /** Content address, as NARInfo has it: `text:sha256:...`, `fixed:[r:|git:]<algorithm>:...`. */
  readonly ca?: string | undefined;
  /** `<key name>:<base64 of 64 bytes>`. */
  readonly signatures: readonly string[];
}
