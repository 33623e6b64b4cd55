import { closeSync, fstatSync, openSync, readSync, type Stats, statSync } from "node:fs";
import { mkdir, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import {
  checkObjectKey,
  type GetObjectOptions,
  isObjectKey,
  type ObjectGroup,
  type ObjectInfo,
  type ObjectStore,
  type ObjectStoreOptions,
  type PutObjectOptions,
  partOfObject,
} from "../../castore/object-store.ts";
import { StoreError } from "../../error.ts";
import { fileError, systemErrorCode, writeError } from "../file-error.ts";
import { createFileDurably, type NewFile, writeFilesDurably } from "./durable-files.ts";

/** Directory for files that are being written. No key may begin with it. */
const TEMPORARY = "tmp";

/** Age in milliseconds from which a temporary file counts as left over. */
const LEFT_OVER = 24 * 60 * 60 * 1000;

/**
 * An ObjectStore in a directory: each object is one file, and its key is the path of the file. All
 * other files of the directory count as objects too, if their paths are valid keys.
 *
 * Reads are synchronous: for files in the system's page cache, Node's thread pool would take five
 * times as long as the work itself. Callers that read many objects must let other tasks run.
 */
export class FileObjectStore implements ObjectStore {
  readonly root: string;
  readonly #temporary: string;

  private constructor(root: string, temporary: string) {
    this.root = root;
    this.#temporary = temporary;
  }

  /**
   * @param root root directory, created if it is missing
   * @param options.exclusive whether no other program writes to this directory. `open` then removes
   *   all temporary files; otherwise it removes only those older than a day.
   * @throws StoreError `denied`, `quota` or `unavailable` if the directory can't be opened
   */
  static async open(root: string, { exclusive = false }: { exclusive?: boolean } = {}): Promise<FileObjectStore> {
    const temporary = join(root, TEMPORARY);
    try {
      await mkdir(temporary, { recursive: true });
      await removeLeftOver(temporary, exclusive ? 0 : LEFT_OVER);
    } catch (error) {
      throw writeError(error, `can't open the object store ${root}`);
    }
    return new FileObjectStore(root, temporary);
  }

  async get(key: string, options: GetObjectOptions): Promise<Uint8Array | undefined> {
    options.signal?.throwIfAborted();
    let file: number | undefined;
    try {
      file = openSync(this.#at(key), "r");
      const stats = fstatSync(file);
      if (!stats.isFile()) return undefined;
      const { offset, length } = partOfObject(key, stats.size, options);
      // Leave the memory uninitialized: clearing it would take a good part of the time that reading
      // takes.
      const bytes = new Uint8Array(Buffer.allocUnsafeSlow(length).buffer);
      for (let at = 0; at < length; ) {
        const read = readSync(file, bytes, at, length - at, offset + at);
        if (read === 0) throw new StoreError("corrupt", `${key} was cut short while it was read`);
        at += read;
      }
      return bytes;
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw fileError(error, `can't read ${key}`);
    } finally {
      if (file !== undefined) closeSync(file);
    }
  }

  async has(key: string, options: ObjectStoreOptions = {}): Promise<boolean> {
    options.signal?.throwIfAborted();
    try {
      return statSync(this.#at(key), { throwIfNoEntry: false })?.isFile() ?? false;
    } catch (error) {
      if (isMissing(error)) return false;
      throw fileError(error, `can't look for ${key}`);
    }
  }

  async put(key: string, bytes: Uint8Array, { ifAbsent = false, signal }: PutObjectOptions = {}): Promise<boolean> {
    const file = this.#file(key, bytes);
    if (ifAbsent && (await this.has(key, { signal }))) return false;
    signal?.throwIfAborted();
    if (ifAbsent) return createFileDurably(this.root, this.#temporary, file);
    await writeFilesDurably(this.root, this.#temporary, [[file]]);
    return true;
  }

  /**
   * Flushes the content of all groups together, then makes the groups visible one after the other.
   */
  async putMany(groups: readonly ObjectGroup[], options: ObjectStoreOptions = {}): Promise<void> {
    options.signal?.throwIfAborted();
    const files = groups.map((group) => Array.from(group, ([key, bytes]) => this.#file(key, bytes)));
    await writeFilesDurably(this.root, this.#temporary, files);
  }

  async *list(prefix: string, options: ObjectStoreOptions = {}): AsyncGenerator<ObjectInfo> {
    const slash = prefix.lastIndexOf("/");
    if (slash !== -1 && !isObjectKey(prefix.slice(0, slash))) return;
    const waiting = await this.#names(prefix.slice(0, slash + 1), options);
    for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
      options.signal?.throwIfAborted();
      if (!path.startsWith(prefix)) continue;
      if (path.endsWith("/")) {
        waiting.push(...(await this.#names(path, options)));
        continue;
      }
      const found = await this.#stat(path);
      if (found?.isFile()) yield { key: path, size: found.size };
    }
  }

  /**
   * Reads the entries of a directory that can be keys, or parts of keys, in descending order. The
   * path of a directory ends with a slash, so that it sorts like the keys beneath it.
   */
  async #names(directory: string, { signal }: ObjectStoreOptions): Promise<string[]> {
    signal?.throwIfAborted();
    try {
      const entries = await readdir(`${this.root}/${directory}`, { withFileTypes: true });
      return entries
        .filter(({ name }) => isObjectKey(directory + name) && directory + name !== TEMPORARY)
        .map((entry) => `${directory}${entry.name}${entry.isDirectory() ? "/" : ""}`)
        .sort((a, b) => (a < b ? 1 : -1));
    } catch (error) {
      if (isMissing(error)) return [];
      throw fileError(error, `can't list ${directory || "the objects"}`);
    }
  }

  async #stat(key: string): Promise<Stats | undefined> {
    try {
      return await stat(this.#at(key));
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw fileError(error, `can't look for ${key}`);
    }
  }

  #file(key: string, bytes: Uint8Array): NewFile {
    checkKey(key);
    return { path: key, bytes };
  }

  #at(key: string): string {
    checkKey(key);
    return `${this.root}/${key}`;
  }
}

function checkKey(key: string): void {
  checkObjectKey(key);
  if (key.startsWith(`${TEMPORARY}/`)) throw new StoreError("invalid", `${key} is a temporary file, not an object`);
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
