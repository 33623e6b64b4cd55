import { checkStorePathName } from "../nix/store-path.ts";

/** Matches file name endings that tell how a source is packed, not what it is. */
const PACKING = /(\.(tar|nar))?(\.(gz|xz|zst|bz2))?$|\.(tgz|txz|tbz2?|tzst)$/i;

/**
 * Derives the name of a store path from the name of a file or folder. Drops the packing, the hash
 * of a store path, and characters that Nix does not allow.
 */
export function deriveName(fileName: string): string {
  const plain = fileName.replace(PACKING, "").replace(/^[0-9abcdfghijklmnpqrsvwxyz]{32}-/, "");
  const name = plain
    .normalize("NFKD")
    .replace(/\p{M}/gu, "")
    .replace(/[^A-Za-z0-9+\-_?=.]+/g, "-")
    .replace(/^[-.]+|-+$/g, "")
    .slice(0, 211);
  return name || "source";
}

/** Explains to a reader why `name` can't be the name of a store path; undefined if it can. */
export function nameFault(name: string): string | undefined {
  if (name === "") return "Enter a name.";
  if (name.length > 211) return "A name can have at most 211 characters.";
  const foreign = [...name].find((character) => !/[A-Za-z0-9+\-_?=.]/.test(character));
  if (foreign !== undefined) {
    return `A name can't have ${foreign === " " ? "spaces" : `“${foreign}”`}: only letters without accents, digits and + - _ ? = . are allowed.`;
  }
  try {
    checkStorePathName(name);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  return undefined;
}
