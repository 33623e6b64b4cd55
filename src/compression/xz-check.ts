import { createCRC32, createCRC64, createSHA256, type IHasher } from "hash-wasm";
import { equalBytes, viewOf } from "../bytes.ts";
import { LoadedDecoder } from "./loaded-decoder.ts";

const CRC32 = 1;
const CRC64 = 4;
const SHA256 = 10;
/**
 * The checks by their type, which a stream's flags say. Each hasher is a WebAssembly instance. All
 * inputs share them: creating an instance takes longer than to decode a small file, and Chromium
 * has room for some hundred memories.
 */
const CHECKS = {
  [CRC32]: { length: 4, hasher: new LoadedDecoder("xz", createCRC32) },
  [CRC64]: { length: 8, hasher: new LoadedDecoder("xz", createCRC64) },
  [SHA256]: { length: 32, hasher: new LoadedDecoder("xz", createSHA256) },
} satisfies Record<number, { length: number; hasher: LoadedDecoder<IHasher> }>;

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
  const hasher = await CHECKS[CRC32].hasher.get();
  return (bytes) => viewOf(hasher.init().update(bytes).digest("binary")).getUint32(0, false);
}

const NO_CHECK: XzCheck = { length: 0, update: () => {}, is: () => true };

/**
 * Begins the check of a block.
 *
 * @throws Error if the type can't be checked here. No program writes another
 * @throws StoreError `unavailable` if the hash can't be loaded
 */
export async function beginCheck(type: number): Promise<XzCheck> {
  if (type === 0) return NO_CHECK;
  if (!isCheck(type)) throw new Error(`it uses the check ${type}, which can't be read here`);
  const { length, hasher: loaded } = CHECKS[type];
  const hasher = await loaded.get();
  // The hasher may have another input's content in between.
  let state = hasher.init().save();
  return {
    length,
    update: (bytes) => {
      state = hasher.load(state).update(bytes).save();
    },
    is: (expected) => {
      const digest = hasher.load(state).digest("binary");
      // CRCs are little-endian. The library gives them in big-endian.
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
