import { join } from "node:path";
import { nix, removeNixStore } from "../../setup/tools.ts";

/** Real Nix with an empty store, each time anew, and no memory of any cache. */
export class CacheReader {
  readonly #dir: string;

  constructor(dir: string) {
    this.#dir = join(dir, "reader");
  }

  /** Copies from a cache. @returns seconds */
  async copy(cache: string, storePath: string): Promise<number> {
    const from = performance.now();
    // A path that nobody signed: what is measured is not that.
    await nix(["nix", "copy", "--no-check-sigs", "--from", cache, storePath], { dir: this.#dir });
    const seconds = (performance.now() - from) / 1000;
    await removeNixStore(this.#dir);
    return seconds;
  }
}
