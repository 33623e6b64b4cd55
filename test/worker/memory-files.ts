import { vi } from "vitest";

/** What the file system of a browser offers. */
export interface FileAbilities {
  /** Whether files have synchronous access handles. */
  readonly hasHandles: boolean;
  /** Whether several handles can read a file at the same time, as in Chromium. */
  readonly sharesHandles: boolean;
}

const error = (name: string): DOMException => new DOMException(`the file system says ${name}`, name);

/** A file in memory. */
export class MemoryFile {
  readonly kind = "file";
  bytes = new Uint8Array(0);
  /** Handles that are open now, and the number of handles that were ever opened. */
  readonly open = new Set<object>();
  opened = 0;
  flushes = 0;
  isDeleted = false;
  /** Maximum number of bytes of the file. */
  room = Number.POSITIVE_INFINITY;
  /** Error of `getFile`. */
  failure: DOMException | undefined;
  declare createSyncAccessHandle: (options?: { mode: string }) => Promise<object>;

  constructor({ hasHandles, sharesHandles }: FileAbilities) {
    if (hasHandles) this.createSyncAccessHandle = (options) => this.#handle(options, sharesHandles);
  }

  wipe(): void {
    this.isDeleted = true;
  }

  async getFile(): Promise<File> {
    if (this.failure) throw this.failure;
    if (this.isDeleted) throw error("NotFoundError");
    return new File([this.bytes], "file");
  }

  async #handle(options: { mode: string } | undefined, sharesHandles: boolean): Promise<object> {
    const isShared = sharesHandles && options?.mode === "read-only";
    if (this.isDeleted) throw error("NotFoundError");
    if (this.open.size > 0 && !isShared) throw error("NoModificationAllowedError");
    const handle = {
      ...(sharesHandles && { mode: options?.mode ?? "readwrite" }),
      read: (bytes: Uint8Array, { at }: { at: number }) => {
        const part = this.bytes.subarray(at, at + bytes.length);
        bytes.set(part);
        return part.length;
      },
      write: (bytes: Uint8Array, { at }: { at: number }) => {
        const written = bytes.subarray(0, Math.max(0, this.room - at));
        const grown = new Uint8Array(Math.max(this.bytes.length, at + written.length));
        grown.set(this.bytes);
        grown.set(written, at);
        this.bytes = grown;
        return written.length;
      },
      flush: () => {
        this.flushes++;
      },
      close: () => {
        this.open.delete(handle);
      },
    };
    this.open.add(handle);
    this.opened++;
    return handle;
  }
}

/** A directory in memory, in place of `FileSystemDirectoryHandle`. */
export class MemoryDirectory {
  readonly kind = "directory";
  readonly entries = new Map<string, MemoryFile | MemoryDirectory>();
  /** Errors that the next calls of these methods throw. */
  readonly failures = new Map<"getFileHandle" | "removeEntry" | "keys", unknown>();
  readonly #abilities: FileAbilities;
  #isDeleted = false;

  constructor(abilities: FileAbilities) {
    this.#abilities = abilities;
  }

  async getDirectoryHandle(name: string, options?: { create: boolean }): Promise<MemoryDirectory> {
    const found = this.#make(name, options, () => new MemoryDirectory(this.#abilities));
    if (!(found instanceof MemoryDirectory)) throw error("TypeMismatchError");
    return found;
  }

  async getFileHandle(name: string, options?: { create: boolean }): Promise<MemoryFile> {
    this.#fail("getFileHandle");
    const found = this.#make(name, options, () => new MemoryFile(this.#abilities));
    if (!(found instanceof MemoryFile)) throw error("TypeMismatchError");
    return found;
  }

  async removeEntry(name: string): Promise<void> {
    this.#fail("removeEntry");
    const found = this.entries.get(name);
    if (!found) throw error("NotFoundError");
    if (found instanceof MemoryFile && found.open.size > 0) throw error("NoModificationAllowedError");
    this.entries.delete(name);
    found.wipe();
  }

  async *keys(): AsyncGenerator<string> {
    yield* this.entries.keys();
    this.#fail("keys");
  }

  /** Deletes the directory with everything in it, as when the browser clears a site's data. */
  wipe(): void {
    this.#isDeleted = true;
    for (const entry of this.entries.values()) entry.wipe();
    this.entries.clear();
  }

  #make<T>(name: string, options: { create: boolean } | undefined, make: () => T): MemoryFile | MemoryDirectory | T {
    const found = this.entries.get(name);
    if (found) return found;
    if (!options?.create || this.#isDeleted) throw error("NotFoundError");
    const made = make();
    this.entries.set(name, made as MemoryFile | MemoryDirectory);
    return made;
  }

  #fail(method: "getFileHandle" | "removeEntry" | "keys"): void {
    const failure = this.failures.get(method);
    this.failures.delete(method);
    if (failure) throw failure;
  }
}

/**
 * Replaces the origin private file system until `vi.unstubAllGlobals` is called. Returns its root.
 */
export function memoryOpfs(abilities: Partial<FileAbilities> = {}): MemoryDirectory {
  const root = new MemoryDirectory({ hasHandles: true, sharesHandles: true, ...abilities });
  vi.stubGlobal("navigator", { storage: { getDirectory: async () => root } });
  return root;
}

export { error as fileError };
