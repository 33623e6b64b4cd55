import type { ByteRange } from "../byte-range.ts";
import { concatBytes, decodeUtf8, equalBytes, utf8, viewOf } from "../bytes.ts";
import { digestOf } from "../castore/digest.ts";
import { StoreError } from "../error.ts";
import type { PathInfo } from "../store/path-info.ts";
import { encodePathInfo } from "../wire/stored-messages.ts";
import { ENTRY_LENGTH, readEntries } from "./pack-entries.ts";

/**
 * Header and trailer of a pack, which make it readable without the database (docs/storage.md).
 * Numbers are little-endian.
 */

/**
 * Length of a header in bytes: the magic, the version (uint32), the kind (uint32), the time of
 * creation (uint64), and the id of the store in 40 bytes.
 */
export const HEADER_LENGTH = 64;
/**
 * Length in bytes of the footer, the last part of a trailer. Its fields: the length of the pack
 * (uint64), the number of entries (uint32), the length of the path infos (uint32), the BLAKE3 hash
 * (32 bytes), the length of the trailer (uint32), and the end mark (12 bytes).
 */
export const FOOTER_LENGTH = 64;
const MAGIC = utf8("tvixpack");
const END_MARK = utf8("tvixpack-end");
const VERSION = 1;
/** Kind of a pack that contains objects. There is no other kind. */
const OBJECTS = 0;
const STORE_AT = 24;
const CHECK_AT = 16;
const LENGTH_AT = 48;
const END_MARK_AT = 52;
/** Maximum length of a trailer that is read. A longer one counts as damaged. */
const MAX_TRAILER = 64 * 1024 * 1024;
/**
 * Maximum total length of the path infos of a pack, in bytes. Only a pack with a single path info
 * may exceed it.
 */
export const MAX_PATH_INFOS: number = 1024 * 1024;
/** Maximum length of one path info in a trailer. A longer one is left out. */
export const MAX_PATH_INFO: number = 32 * 1024 * 1024;

export interface PackHeader {
  /** Id of the store that wrote the pack (`meta.id`). */
  readonly store: string;
  /** Time at which the pack was begun, in milliseconds since 1970. */
  readonly created: number;
}

export interface PackTrailer {
  /** Length of the whole trailer in bytes. */
  readonly length: number;
  /** Entries of all objects of the pack, as in an index record. */
  readonly entries: Uint8Array;
  /** Encoded PathInfos. */
  readonly pathInfos: readonly Uint8Array[];
}

export function encodeHeader({ store, created }: PackHeader): Uint8Array {
  const bytes = new Uint8Array(HEADER_LENGTH);
  const view = viewOf(bytes);
  bytes.set(MAGIC);
  view.setUint32(8, VERSION, true);
  view.setUint32(12, OBJECTS, true);
  view.setBigUint64(16, BigInt(created), true);
  bytes.set(utf8(store).subarray(0, HEADER_LENGTH - STORE_AT), STORE_AT);
  return bytes;
}

/** @returns `undefined` if the bytes are not a header of a known version and kind */
export function decodeHeader(bytes: Uint8Array): PackHeader | undefined {
  if (bytes.length !== HEADER_LENGTH || !equalBytes(bytes.subarray(0, MAGIC.length), MAGIC)) return undefined;
  const view = viewOf(bytes);
  if (view.getUint32(8, true) !== VERSION || view.getUint32(12, true) !== OBJECTS) return undefined;
  const store = decodeUtf8(bytes.subarray(STORE_AT)).replace(/\0+$/, "");
  return { store, created: Number(view.getBigUint64(16, true)) };
}

/** Encodes a PathInfo for a trailer. */
export function packedPathInfo(info: PathInfo): Uint8Array {
  const encoded = encodePathInfo(info);
  const bytes = new Uint8Array(4 + encoded.length);
  viewOf(bytes).setUint32(0, encoded.length, true);
  bytes.set(encoded, 4);
  return bytes;
}

/**
 * Encodes a trailer.
 *
 * @param header the encoded header of the pack
 * @param end length of the header and the objects together
 * @param pathInfos from `packedPathInfo`
 */
export function encodeTrailer(header: Uint8Array, end: number, entries: Uint8Array, pathInfos: readonly Uint8Array[]): Uint8Array {
  const infos = concatBytes(pathInfos);
  const length = entries.length + infos.length + FOOTER_LENGTH;
  const footer = new Uint8Array(FOOTER_LENGTH);
  const view = viewOf(footer);
  view.setBigUint64(0, BigInt(end + length), true);
  view.setUint32(8, entries.length / ENTRY_LENGTH, true);
  view.setUint32(12, infos.length, true);
  footer.set(digestOf(concatBytes([header, entries, infos, footer.subarray(0, CHECK_AT)])), CHECK_AT);
  view.setUint32(LENGTH_AT, length, true);
  footer.set(END_MARK, END_MARK_AT);
  return concatBytes([entries, infos, footer]);
}

/**
 * Reads the length of the trailer.
 *
 * @param footer the last `FOOTER_LENGTH` bytes of a pack
 * @param size length of the pack in bytes
 * @throws StoreError `corrupt` if they are not the end of a trailer that fits into the pack
 */
export function trailerLength(footer: Uint8Array, size: number): number {
  const view = viewOf(footer);
  if (!equalBytes(footer.subarray(END_MARK_AT), END_MARK)) throw torn("it has no end mark");
  const length = view.getUint32(LENGTH_AT, true);
  const parts = view.getUint32(8, true) * ENTRY_LENGTH + view.getUint32(12, true) + FOOTER_LENGTH;
  if (view.getBigUint64(0, true) !== BigInt(size) || parts !== length || length > size - HEADER_LENGTH || length > MAX_TRAILER)
    throw torn("its lengths are wrong");
  return length;
}

/**
 * Returns the place of the path infos in a pack.
 *
 * @param footer the last `FOOTER_LENGTH` bytes of the pack; `trailerLength` accepts them
 * @param size length of the pack in bytes
 */
export function pathInfosRange(footer: Uint8Array, size: number): ByteRange {
  const length = viewOf(footer).getUint32(12, true);
  return { offset: size - FOOTER_LENGTH - length, length };
}

/**
 * Decodes a trailer, and checks that its entries describe exactly the bytes between header and
 * trailer.
 *
 * @param header the encoded header of the pack
 * @param bytes the whole trailer, of the length that `trailerLength` returned
 * @param size length of the pack in bytes
 * @throws StoreError `corrupt` if the trailer's hash is wrong, or if its entries break a rule
 */
export function decodeTrailer(header: Uint8Array, bytes: Uint8Array, size: number): PackTrailer {
  const footer = bytes.subarray(-FOOTER_LENGTH);
  const view = viewOf(footer);
  const content = bytes.subarray(0, -FOOTER_LENGTH);
  const check = footer.subarray(CHECK_AT, LENGTH_AT);
  if (!equalBytes(digestOf(concatBytes([header, content, footer.subarray(0, CHECK_AT)])), check)) throw torn("its check fails");
  const entries = content.subarray(0, view.getUint32(8, true) * ENTRY_LENGTH);
  checkEntries(entries, size - bytes.length);
  return { length: bytes.length, entries, pathInfos: splitPathInfos(content.subarray(entries.length)) };
}

/**
 * Checks that the objects lie one after the other, without gaps, from the end of the header to
 * `end`.
 */
function checkEntries(entries: Uint8Array, end: number): void {
  let at = HEADER_LENGTH;
  readEntries("the trailer of a pack", { entries, size: end }, (_digest, _kind, offset, length) => {
    if (offset !== at) throw torn("its objects overlap or have gaps");
    at += length;
  });
  if (at !== end) throw torn("its objects do not fill the pack");
}

/**
 * Splits the path infos of a trailer.
 *
 * @throws StoreError `corrupt` if the last one is cut short
 */
export function splitPathInfos(bytes: Uint8Array): Uint8Array[] {
  const view = viewOf(bytes);
  const infos: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; ) {
    const start = at + 4;
    const end = start <= bytes.length ? start + view.getUint32(at, true) : Number.POSITIVE_INFINITY;
    if (end > bytes.length) throw torn("a path info is cut short");
    infos.push(bytes.subarray(start, end));
    at = end;
  }
  return infos;
}

function torn(why: string): StoreError {
  return new StoreError("corrupt", `the trailer of a pack is damaged: ${why}`);
}
