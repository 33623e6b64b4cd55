import { join } from "node:path";
import { nix, removeNixStore } from "../../setup/tools.ts";

/** Real Nix with a new, empty store for each copy, and without a cache of earlier lookups. */
export class CacheReader {
  readonly #dir: string;

  constructor(dir: string) {
    this.#dir = join(dir, "reader");
  }

  /**
   * Copies a store path from a cache.
   *
   * @returns seconds
   */
  async copy(cache: string, storePath: string): Promise<number> {
    const from = performance.now();
    // The path has no signature, and signature checks are not measured.
    await nix(["nix", "copy", "--no-check-sigs", "--from", cache, storePath], { dir: this.#dir });
    const seconds = (performance.now() - from) / 1000;
    await removeNixStore(this.#dir);
    return seconds;
  }
}
