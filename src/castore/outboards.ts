import { equalBytes } from "../bytes.ts";
import { StoreError } from "../error.ts";
import type { HashEngine } from "../hash/engine.ts";
import { checkOutboard, decodeOutboard, type Outboard } from "../hash/outboard.ts";
import { RecentlyUsed } from "../recently-used.ts";
import { iterate } from "../stream.ts";
import { type Digest, digestKey, formatDigest } from "./digest.ts";

/** Checked ones that are kept for the next range: some 256 KiB each. */
const KEPT = 16;
const BUFFER = 512 * 1024;

/** Outboards of a store's blobs: decoded and checked, or made from the content where the store has none. */
export class Outboards {
  #engine: HashEngine;
  readonly #known = new RecentlyUsed<string, Outboard>(KEPT);

  constructor(engine: HashEngine) {
    this.#engine = engine;
  }

  /**
   * @param bao what is stored, if anything is
   * @param open the whole content of the blob, for when nothing is stored
   * @throws StoreError `corrupt` if what is stored is not the blob's
   */
  async get(digest: Digest, bao: Uint8Array | undefined, open: () => Promise<ReadableStream<Uint8Array>>): Promise<Outboard> {
    const key = digestKey(digest);
    const known = this.#known.get(key);
    if (known) return known;
    const outboard = bao ? decode(digest, bao) : await this.#make(digest, await open());
    this.#known.set(key, outboard);
    return outboard;
  }

  async #make(digest: Digest, content: ReadableStream<Uint8Array>): Promise<Outboard> {
    const cutter = await this.#engine.cutter();
    try {
      let buffer = new ArrayBuffer(BUFFER);
      for await (const bytes of iterate(content)) {
        for (let at = 0; at < bytes.length; at += BUFFER) {
          const piece = bytes.subarray(at, at + BUFFER);
          new Uint8Array(buffer).set(piece);
          ({ buffer } = await cutter.push(buffer, piece.length));
        }
      }
      const { outboard, digest: actual } = await cutter.end();
      if (equalBytes(actual, digest)) return outboard;
      throw new StoreError("corrupt", `blob ${formatDigest(digest)} has other content`);
    } catch (error) {
      cutter.abort();
      throw error;
    }
  }
}

function decode(digest: Digest, bao: Uint8Array): Outboard {
  try {
    const outboard = decodeOutboard(bao);
    checkOutboard(outboard, digest);
    return outboard;
  } catch (cause) {
    throw new StoreError("corrupt", `the stored outboard of blob ${formatDigest(digest)} is not its own`, { cause });
  }
}
