import type { CutChunk } from "../engine.ts";

export interface StreamSlot {
  update(bytes: Uint8Array): void;
  end(root: boolean): Uint8Array;
  free(): void;
}

/** BLAKE3 over bytes that come in pieces. Always call `free` at the end, also after an error. */
export class Blake3Stream {
  #slot: StreamSlot | undefined;
  #open = true;

  constructor(slot: StreamSlot) {
    this.#slot = slot;
  }

  update(bytes: Uint8Array): this {
    this.#use().update(bytes);
    return this;
  }

  digest(): Uint8Array {
    const slot = this.#use();
    this.#open = false;
    return slot.end(true);
  }

  /** Ends a subtree and returns its chaining value. */
  value(): Uint8Array {
    const slot = this.#use();
    this.#open = false;
    return slot.end(false);
  }

  free(): void {
    this.#slot?.free();
    this.#slot = undefined;
  }

  #use(): StreamSlot {
    if (!this.#slot || !this.#open) throw new TypeError("this hash stream has ended");
    return this.#slot;
  }
}

export interface PassSlot {
  update(bytes: Uint8Array): CutChunk[];
  end(): { chunks: CutChunk[]; digest: Uint8Array };
  free(): void;
}

/**
 * A pass, which cuts and hashes a blob as its bytes come. Always call `free` at the end, also after
 * an error.
 */
export class BlobPass {
  #slot: PassSlot | undefined;
  #open = true;

  constructor(slot: PassSlot) {
    this.#slot = slot;
  }

  /**
   * Appends `bytes`. Returns the chunks that ended, in order. The first one begins where the last
   * one before it ended.
   */
  update(bytes: Uint8Array): CutChunk[] {
    return this.#use().update(bytes);
  }

  /** Ends the blob. Returns its last chunk, if there is one, and its digest. */
  end(): { chunks: CutChunk[]; digest: Uint8Array } {
    const slot = this.#use();
    this.#open = false;
    return slot.end();
  }

  free(): void {
    this.#slot?.free();
    this.#slot = undefined;
  }

  #use(): PassSlot {
    if (!this.#slot || !this.#open) throw new TypeError("this pass has ended");
    return this.#slot;
  }
}
