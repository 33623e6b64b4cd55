import {
  decodeHeader,
  decodeTrailer,
  FOOTER_LENGTH,
  HEADER_LENGTH,
  type PackHeader,
  type PackTrailer,
  pathInfosRange,
  splitPathInfos,
  trailerLength,
} from "./pack-format.ts";
import type { PackStore } from "./pack-store.ts";

/** A pack that can be read without an index record. */
export interface DescribedPack {
  readonly header: PackHeader;
  readonly trailer: PackTrailer;
  /** Length of the pack in bytes. */
  readonly size: number;
}

/**
 * Reads header and trailer of a pack.
 *
 * @returns `undefined` if the pack has no header; packs of version 2 have none
 * @throws StoreError `corrupt` if the pack is not complete
 */
export async function describePack(packs: PackStore, id: string): Promise<DescribedPack | undefined> {
  const start = await readHeader(packs, id);
  return start && { header: start.header, size: start.size, trailer: await readTrailer(packs, id, start) };
}

/** Header of a pack, and the pack's size in bytes. */
interface PackStart {
  readonly header: PackHeader;
  readonly bytes: Uint8Array;
  readonly size: number;
}

/** @returns `undefined` if the pack has no header */
export async function readHeader(packs: PackStore, id: string): Promise<PackStart | undefined> {
  const size = await packs.size(id);
  if (size < HEADER_LENGTH + FOOTER_LENGTH) return undefined;
  const [bytes] = await packs.read(id, [{ offset: 0, length: HEADER_LENGTH }]);
  const header = bytes && decodeHeader(bytes);
  return header && { header, bytes, size };
}

/**
 * Reads the trailer of a pack.
 *
 * @throws StoreError `corrupt` if the trailer is damaged
 */
export async function readTrailer(packs: PackStore, id: string, { bytes: header, size }: PackStart): Promise<PackTrailer> {
  const [footer] = await packs.read(id, [{ offset: size - FOOTER_LENGTH, length: FOOTER_LENGTH }]);
  const length = trailerLength(footer as Uint8Array, size);
  const [bytes] = await packs.read(id, [{ offset: size - length, length }]);
  return decodeTrailer(header, bytes as Uint8Array, size);
}

/**
 * Reads only the encoded path infos of a pack, not its entries. So it can't verify the trailer's
 * hash.
 *
 * @returns no path infos if the pack is too short for a header and a footer
 * @throws StoreError `corrupt` if the footer is damaged, or a path info is cut short
 */
export async function pathInfosOf(packs: PackStore, { pack, size }: { pack: string; size: number }): Promise<Uint8Array[]> {
  if (size < HEADER_LENGTH + FOOTER_LENGTH) return [];
  const [footer] = await packs.read(pack, [{ offset: size - FOOTER_LENGTH, length: FOOTER_LENGTH }]);
  trailerLength(footer as Uint8Array, size);
  const [bytes] = await packs.read(pack, [pathInfosRange(footer as Uint8Array, size)]);
  return splitPathInfos(bytes as Uint8Array);
}
