import type { IHasher } from "hash-wasm";
import { LoadedDecoder } from "./loaded-decoder.ts";

/**
 * A checksum of the library hash-wasm. All inputs that are read at the same time share its
 * WebAssembly instance: creating an instance takes longer than decoding a small file, and Chromium
 * has room for some hundred memories in all threads of a page.
 */
export class Checksum {
  readonly #hasher: IHasher;

  constructor(hasher: IHasher) {
    this.#hasher = hasher;
  }

  /**
   * @param compression format that the checksum belongs to, for error messages
   * @param create a function of the library
   */
  static loaded(compression: string, create: () => Promise<IHasher>): LoadedDecoder<Checksum> {
    return new LoadedDecoder(compression, async () => new Checksum(await create()));
  }

  /** Returns the checksum of these bytes, in big-endian order, like the library. */
  of(bytes: Uint8Array): Uint8Array {
    return this.#hasher.init().update(bytes).digest("binary");
  }

  /** Begins the checksum of content that comes in pieces. */
  begin(): RunningChecksum {
    return new RunningChecksum(this.#hasher);
  }
}

/** The checksum of the content so far. */
export class RunningChecksum {
  readonly #hasher: IHasher;
  #state: Uint8Array;

  constructor(hasher: IHasher) {
    this.#hasher = hasher;
    this.#state = hasher.init().save();
  }

  update(bytes: Uint8Array): void {
    // The hasher may have had another input's content in between.
    this.#state = this.#hasher.load(this.#state).update(bytes).save();
  }

  /** Returns the checksum, in big-endian order, like the library. */
  digest(): Uint8Array {
    return this.#hasher.load(this.#state).digest("binary");
  }
}
