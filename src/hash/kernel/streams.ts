import type { CutChunk } from "../engine.ts";

export interface StreamSlot {
  update(bytes: Uint8Array): void;
  end(root: boolean): Uint8Array;
  free(): void;
}

/** BLAKE3 over bytes that come in pieces. `free` it, whatever happens. */
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

  /** The chaining value, of a subtree. */
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

/** A blob that is cut and hashed as it comes. `free` it, whatever happens. */
export class BlobPass {
  #slot: PassSlot | undefined;
  #open = true;

  constructor(slot: PassSlot) {
    this.#slot = slot;
  }

  /** The chunks that have ended: their bytes are the next ones that were given. */
  update(bytes: Uint8Array): CutChunk[] {
    return this.#use().update(bytes);
  }

  /** The last chunk, if there is one, and the blob's digest. */
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
