import { concatBytes, utf8 } from "../bytes.ts";

/**
 * What a NAR (Nix archive) is made of, for those that read and those that write one.
 *
 * Every token is a 64-bit little-endian length, that many bytes, and zero bytes up to a multiple of eight:
 *
 *     archive   = "nix-archive-1" node
 *     node      = "(" "type" ( file | symlink | directory ) ")"
 *     file      = "regular" [ "executable" "" ] "contents" content
 *     symlink   = "symlink" "target" target
 *     directory = "directory" { "entry" "(" "name" name "node" node ")" }
 *
 * with the names of a directory strictly ascending, bytewise.
 */
export const NAR_MAGIC = "nix-archive-1";

/** Bytes of the longest name of an entry. */
export const NAR_MAX_NAME_LENGTH = 255;

/** Bytes of the longest target of a symlink. */
export const NAR_MAX_TARGET_LENGTH = 4095;

const DOT = 0x2e;
const SLASH = 0x2f;

/** How many zero bytes follow `length` bytes. */
export function narPaddingLength(length: number): number {
  return (8 - (length % 8)) % 8;
}

/** Size of a token of `length` bytes, with its length before it and its padding after it. */
export function narTokenSize(length: number): number {
  return 8 + length + narPaddingLength(length);
}

/** `texts` (all short) as tokens, one after the other. */
export function narTokens(...texts: readonly string[]): Uint8Array {
  return concatBytes(
    texts.map((text) => {
      const bytes = utf8(text);
      const token = new Uint8Array(narTokenSize(bytes.length));
      token[0] = bytes.length;
      token.set(bytes, 8);
      return token;
    }),
  );
}

/** What keeps `name` from being the name of an entry, or `undefined` if nothing does. */
export function narNameProblem(name: Uint8Array): string | undefined {
  if (name.length === 0) return "the name is empty";
  if (name.length > NAR_MAX_NAME_LENGTH) return `the name is longer than ${NAR_MAX_NAME_LENGTH} bytes`;
  for (const byte of name) {
    if (byte === SLASH) return "the name has a slash";
    if (byte === 0) return "the name has a zero byte";
  }
  if (name[0] === DOT && (name.length === 1 || (name.length === 2 && name[1] === DOT))) return "the name is . or ..";
  return undefined;
}

/** What keeps `target` from being the target of a symlink, or `undefined` if nothing does. */
export function narTargetProblem(target: Uint8Array): string | undefined {
  if (target.length === 0) return "the target is empty";
  if (target.length > NAR_MAX_TARGET_LENGTH) return `the target is longer than ${NAR_MAX_TARGET_LENGTH} bytes`;
  if (target.includes(0)) return "the target has a zero byte";
  return undefined;
}

/** What a message calls the entry that is reached by `names`: the archive itself where there are none. */
export function narPath(names: readonly Uint8Array[]): Uint8Array {
  const slash = Uint8Array.of(SLASH);
  return concatBytes(names.flatMap((name, i) => (i === 0 ? [name] : [slash, name])));
}
