import { checkStorePathName } from "../nix/store-path.ts";

/** Endings that say how a source is packed, and not what it is. */
const PACKING = /(\.(tar|nar))?(\.(gz|xz|zst|bz2))?$|\.(tgz|txz|tbz2?|tzst)$/i;

/** A name for a store path, from that of a file or folder: without packing or a store path's hash, and of Nix's characters only. */
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

/** Why `name` cannot be a store path's, in words for a reader; undefined if it can. */
export function nameFault(name: string): string | undefined {
  if (name === "") return "A name is needed.";
  if (name.length > 211) return "A name has at most 211 characters.";
  const foreign = [...name].find((character) => !/[A-Za-z0-9+\-_?=.]/.test(character));
  if (foreign !== undefined) {
    return `A name has letters without accents, digits and + - _ ? = . only; not ${foreign === " " ? "spaces" : `“${foreign}”`}.`;
  }
  try {
    checkStorePathName(name);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  return undefined;
}
