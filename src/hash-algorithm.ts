/**
 * A hash algorithm of Nix. `blake3` names the content of castore too; in Nix it is an experimental
 * feature since 2.31.
 */
export type HashAlgorithm = "md5" | "sha1" | "sha256" | "sha512" | "blake3";
