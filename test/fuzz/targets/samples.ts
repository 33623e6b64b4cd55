import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";

/** Files of the repository that tests have from real programs. */
export class Samples {
  readonly #root: string;
  readonly #paths: readonly string[];

  /** @param root the repository */
  constructor(root: string) {
    this.#root = root;
    this.#paths = readdirSync(join(root, "test"), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => relative(root, join(entry.parentPath, entry.name)))
      .sort();
  }

  /** Those whose path from the root matches, and that have no more bytes than this. */
  files(pattern: RegExp, maxLength = 8192): Uint8Array[] {
    const found = this.#paths
      .filter((path) => pattern.test(path))
      .map((path) => new Uint8Array(readFileSync(join(this.#root, path))))
      .filter(({ length }) => length <= maxLength);
    if (found.length === 0) throw new Error(`there are no samples ${pattern}`);
    return found;
  }
}
