import { concatBytes, utf8 } from "../bytes.ts";

/**
 * The grammar of a NAR (Nix archive), shared by parser and writer.
 *
 * Each token is a 64-bit little-endian length, that many bytes, and zero bytes up to a multiple of
 * eight:
 *
 *     archive   = "nix-archive-1" node
 *     node      = "(" "type" ( file | symlink | directory ) ")"
 *     file      = "regular" [ "executable" "" ] "contents" content
 *     symlink   = "symlink" "target" target
 *     directory = "directory" { "entry" "(" "name" name "node" node ")" }
 *
 * The names of a directory are strictly ascending, bytewise.
 */
export const NAR_MAGIC = "nix-archive-1";

/** Maximum length of an entry's name, in bytes. */
export const NAR_MAX_NAME_LENGTH = 255;

/** Maximum length of a symlink's target, in bytes. */
export const NAR_MAX_TARGET_LENGTH = 4095;

const DOT = 0x2e;
const SLASH = 0x2f;

/** Returns the number of zero bytes after `length` bytes. */
export function narPaddingLength(length: number): number {
  return (8 - (length % 8)) % 8;
}

/** Returns the size of a token with `length` bytes, including its length field and its padding. */
export function narTokenSize(length: number): number {
  return 8 + length + narPaddingLength(length);
}

/** Encodes `texts`, all of them short, as consecutive tokens. */
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

/** Returns the reason why `name` can't be the name of an entry, or `undefined` if it can. */
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

/** Returns the reason why `target` can't be the target of a symlink, or `undefined` if it can. */
export function narTargetProblem(target: Uint8Array): string | undefined {
  if (target.length === 0) return "the target is empty";
  if (target.length > NAR_MAX_TARGET_LENGTH) return `the target is longer than ${NAR_MAX_TARGET_LENGTH} bytes`;
  if (target.includes(0)) return "the target has a zero byte";
  return undefined;
}

/** Joins `names` to the path of an entry, for messages. No names mean the archive itself. */
export function narPath(names: readonly Uint8Array[]): Uint8Array {
  const slash = Uint8Array.of(SLASH);
  return concatBytes(names.flatMap((name, i) => (i === 0 ? [name] : [slash, name])));
}
