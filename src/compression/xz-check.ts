import { createCRC32, createCRC64, createSHA256 } from "hash-wasm";
import { equalBytes, viewOf } from "../bytes.ts";
import { Checksum } from "./checksum.ts";
import type { LoadedDecoder } from "./loaded-decoder.ts";

const CRC32 = 1;
const CRC64 = 4;
const SHA256 = 10;
/** The checks by their type, which a stream's flags say. */
const CHECKS = {
  [CRC32]: { length: 4, checksum: Checksum.loaded("xz", createCRC32) },
  [CRC64]: { length: 8, checksum: Checksum.loaded("xz", createCRC64) },
  [SHA256]: { length: 32, checksum: Checksum.loaded("xz", createSHA256) },
} satisfies Record<number, { length: number; checksum: LoadedDecoder<Checksum> }>;

/** Computes the check of a block's content, or of the index. */
export interface XzCheck {
  /** Length of the check in bytes. */
  readonly length: number;
  update(bytes: Uint8Array): void;
  /** Whether the content so far has this check. */
  is(check: Uint8Array): boolean;
}

/** @throws StoreError `unavailable` if the hash can't be loaded */
export async function headerCrc32(): Promise<(bytes: Uint8Array) => number> {
  const crc32 = await CHECKS[CRC32].checksum.get();
  return (bytes) => viewOf(crc32.of(bytes)).getUint32(0, false);
}

const NO_CHECK: XzCheck = { length: 0, update: () => {}, is: () => true };

/**
 * Begins the check of a block.
 *
 * @throws Error if the type is not supported; no program writes such a type
 * @throws StoreError `unavailable` if the hash can't be loaded
 */
export async function beginCheck(type: number): Promise<XzCheck> {
  if (type === 0) return NO_CHECK;
  if (!isCheck(type)) throw new Error(`it uses the check ${type}, which can't be read here`);
  const { length, checksum } = CHECKS[type];
  const running = (await checksum.get()).begin();
  return {
    length,
    update: (bytes) => running.update(bytes),
    is: (expected) => {
      const digest = running.digest();
      // CRCs are little-endian in xz.
      return equalBytes(type === SHA256 ? digest : digest.reverse(), expected);
    },
  };
}

/** Begins the check of a stream's index. */
export function beginIndexCheck(): Promise<XzCheck> {
  return beginCheck(CRC32);
}

function isCheck(type: number): type is keyof typeof CHECKS {
  return type in CHECKS;
}
