import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";

/** Files of the repository that real programs wrote, for tests. */
export class Samples {
  readonly #root: string;
  readonly #paths: readonly string[];

  /**
   * @param root root of the repository
   */
  constructor(root: string) {
    this.#root = root;
    this.#paths = readdirSync(join(root, "test"), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => relative(root, join(entry.parentPath, entry.name)))
      .sort();
  }

  /**
   * Reads the files whose path from the root matches `pattern` and that have at most `maxLength`
   * bytes.
   */
  files(pattern: RegExp, maxLength = 8192): Uint8Array[] {
    const found = this.#paths
      .filter((path) => pattern.test(path))
      .map((path) => new Uint8Array(readFileSync(join(this.#root, path))))
      .filter(({ length }) => length <= maxLength);
    if (found.length === 0) throw new Error(`no sample matches ${pattern}`);
    return found;
  }
}
