import { closeSync, fstatSync, openSync, readSync, statSync } from "node:fs";
import { mkdir, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { StoreError } from "../../error.ts";
import { fileError, systemErrorCode, writeError } from "../file-error.ts";
import { writeFilesDurably } from "./durable-files.ts";
import type { Objects } from "./staged-objects.ts";

/** Bytes that the first read of a file requests. A file of one of our chunks is shorter. */
const READ_BUFFER = 640 * 1024;

/** Reads and writes the files of an object store. */
export class ObjectFiles {
  readonly root: string;
  readonly #temporary: string;
  readonly #buffer = new Uint8Array(READ_BUFFER);

  private constructor(root: string, temporary: string) {
    this.root = root;
    this.#temporary = temporary;
  }

  /**
   * @param root root directory, created if it is missing
   * @param options.exclusive whether nobody else writes to this object store. All temporary files
   *   are then left over and removed; otherwise only those older than a day.
   * @throws StoreError `denied`, `quota` or `unavailable` if the directory can't be opened
   */
  static async open(root: string, { exclusive }: { exclusive?: boolean | undefined }): Promise<ObjectFiles> {
    const temporary = join(root, "tmp");
    try {
      await mkdir(temporary, { recursive: true });
      await removeLeftOver(temporary, exclusive ? 0 : 24 * 60 * 60 * 1000);
    } catch (error) {
      throw writeError(error, `can't open the object store ${root}`);
    }
    return new ObjectFiles(root, temporary);
  }

  /**
   * Writes the groups in order, each only once the earlier groups are on disk. Resolves when all of
   * them are.
   *
   * @throws StoreError as `writeFilesDurably`
   */
  async write(groups: readonly Objects[]): Promise<void> {
    const files = groups.map((objects) => Array.from(objects, ([path, bytes]) => ({ path, bytes })));
    await writeFilesDurably(this.root, this.#temporary, files);
  }

  /**
   * @throws StoreError `denied` or `unavailable` if the file system can't tell
   */
  has(path: string): boolean {
    try {
      return statSync(this.#at(path), { throwIfNoEntry: false })?.isFile() ?? false;
    } catch (error) {
      if (isMissing(error)) return false;
      throw fileError(error, `can't look for ${path} in ${this.root}`);
    }
  }

  /**
   * Reads a file. The bytes are only valid until the next call.
   *
   * @param limit maximum size of the file, in bytes
   * @returns `undefined` if there is no such file
   * @throws StoreError `corrupt` if the file is longer than `limit`; `denied` or `unavailable` if
   *   it can't be read
   */
  read(path: string, limit: number): Uint8Array | undefined {
    let file: number | undefined;
    try {
      file = openSync(this.#at(path), "r");
      // Most files fit into the buffer, which saves a call for the size.
      const length = readSync(file, this.#buffer, 0, this.#buffer.length, 0);
      if (length < this.#buffer.length) return this.#buffer.subarray(0, length);
      const { size } = fstatSync(file);
      if (size > limit) {
        throw new StoreError("corrupt", `${path} in ${this.root} has ${size} bytes, more than the ${limit} allowed`);
      }
      const whole = new Uint8Array(size);
      for (let at = 0; at < size; ) {
        const read = readSync(file, whole, at, size - at, at);
        if (read === 0) throw new StoreError("corrupt", `${path} in ${this.root} was cut short while it was read`);
        at += read;
      }
      return whole;
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw fileError(error, `can't read ${path} in ${this.root}`);
    } finally {
      if (file !== undefined) closeSync(file);
    }
  }

  #at(path: string): string {
    return `${this.root}/${path}`;
  }
}

function isMissing(error: unknown): boolean {
  const code = systemErrorCode(error);
  return code === "ENOENT" || code === "ENOTDIR";
}

async function removeLeftOver(temporary: string, age: number): Promise<void> {
  const now = Date.now();
  for (const name of await readdir(temporary)) {
    const path = join(temporary, name);
    if (age === 0 || now - (await stat(path)).mtimeMs > age) await rm(path, { force: true });
  }
}
