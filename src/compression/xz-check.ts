import { createCRC32, createCRC64, createSHA256, type IHasher } from "hash-wasm";
import { equalBytes, viewOf } from "../bytes.ts";
import { LoadedDecoder } from "./loaded-decoder.ts";

const SHA256 = 10;
/** The checks by their type, which a stream's flags say. */
const CHECKS: Readonly<Record<number, { length: number; create: () => Promise<IHasher> }>> = {
  1: { length: 4, create: createCRC32 },
  4: { length: 8, create: createCRC64 },
  [SHA256]: { length: 32, create: createSHA256 },
};

/**
 * Computes the CRC-32 of headers. All inputs share it, because each use is one call. Chromium has
 * room for some hundred WebAssembly memories.
 */
const headerCrc = new LoadedDecoder("xz", createCRC32);

/** Computes the check of a block's content. */
export interface XzCheck {
  /** Length of the check in bytes. */
  readonly length: number;
  update(bytes: Uint8Array): void;
  /** Whether the content so far has this check. */
  is(check: Uint8Array): boolean;
}

/** @throws StoreError `unavailable` if the hash can't be loaded */
export async function headerCrc32(): Promise<(bytes: Uint8Array) => number> {
  const hasher = await headerCrc.get();
  return (bytes) => viewOf(hasher.init().update(bytes).digest("binary")).getUint32(0, false);
}

const NO_CHECK: XzCheck = { length: 0, update: () => {}, is: () => true };

/**
 * Hashers of one input. Each is a WebAssembly instance, so all streams of the input share them.
 */
export class XzChecks {
  readonly #hashers = new Map<number, LoadedDecoder<IHasher>>();

  /**
   * Begins the check of a block.
   *
   * @throws Error if the type can't be checked here. No program writes another
   * @throws StoreError `unavailable` if the hash can't be loaded
   */
  async begin(type: number): Promise<XzCheck> {
    if (type === 0) return NO_CHECK;
    const check = CHECKS[type];
    if (!check) throw new Error(`it uses the check ${type}, which can't be read here`);
    const hasher = (await this.#hasher(type, check.create)).init();
    return {
      length: check.length,
      update: (bytes) => {
        hasher.update(bytes);
      },
      is: (expected) => {
        const digest = hasher.digest("binary");
        // CRCs are little-endian. The library gives them in big-endian.
        return equalBytes(type === SHA256 ? digest : digest.reverse(), expected);
      },
    };
  }

  #hasher(key: number, create: () => Promise<IHasher>): Promise<IHasher> {
    let hasher = this.#hashers.get(key);
    if (!hasher) {
      hasher = new LoadedDecoder("xz", create);
      this.#hashers.set(key, hasher);
    }
    return hasher.get();
  }
}
