import { StoreError } from "../error.ts";

/** Loads a decoder when it is first used. If loading fails, the next use tries again. */
export class LoadedDecoder<T> {
  readonly #compression: string;
  readonly #load: () => Promise<T>;
  #loaded: Promise<T> | undefined;

  constructor(compression: string, load: () => Promise<T>) {
    this.#compression = compression;
    this.#load = load;
  }

  /** @throws StoreError `unavailable` if the decoder can't be loaded */
  async get(): Promise<T> {
    this.#loaded ??= this.#load();
    const loaded = this.#loaded;
    try {
      return await loaded;
    } catch (cause) {
      // Others may have begun to load it anew.
      if (this.#loaded === loaded) this.#loaded = undefined;
      throw new StoreError("unavailable", `can't load the decoder of ${this.#compression}; try again`, { cause });
    }
  }
}
