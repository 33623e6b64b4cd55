import { StoreError } from "../error.ts";

/** Loads a decoder at its first use. If loading fails, the next use retries. */
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
      // Another caller may already be loading it again.
      if (this.#loaded === loaded) this.#loaded = undefined;
      throw new StoreError("unavailable", `can't load the decoder of ${this.#compression}; try again`, { cause });
    }
  }
}
