import { equalBytes } from "../bytes.ts";
import { StoreError } from "../error.ts";
import type { HashEngine } from "../hash/engine.ts";
import { checkOutboard, decodeOutboard, type Outboard } from "../hash/outboard.ts";
import { RecentlyUsed } from "../recently-used.ts";
import { iterate } from "../stream.ts";
import { type Digest, digestKey, formatDigest } from "./digest.ts";

/** Number of checked outboards that are cached for later ranges: some 256 KiB each. */
const KEPT = 16;
const BUFFER = 512 * 1024;

/**
 * The outboards of a store's blobs, checked and decoded. An outboard that the store does not have
 * is computed from the content.
 */
export class Outboards {
  #engine: HashEngine;
  readonly #known = new RecentlyUsed<string, Outboard>(KEPT);

  constructor(engine: HashEngine) {
    this.#engine = engine;
  }

  /**
   * Returns the blob's outboard.
   *
   * @param bao the stored outboard, if there is one
   * @param open opens the whole content of the blob; called if nothing is stored
   * @throws StoreError `corrupt` if the stored outboard or the content does not match the digest
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
      throw new StoreError("corrupt", `the content of blob ${formatDigest(digest)} does not match its digest`);
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
    throw new StoreError("corrupt", `the stored outboard of blob ${formatDigest(digest)} does not match the blob's digest`, {
      cause,
    });
  }
}
