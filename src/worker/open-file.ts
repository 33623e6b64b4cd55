import { StoreError } from "../error.ts";

/** Synchronous access handle of a file. Dedicated workers have such handles; pages don't. */
interface SyncHandle {
  read(bytes: Uint8Array, options: { at: number }): number;
  write(bytes: Uint8Array, options: { at: number }): number;
  flush(): void;
  close(): void;
}

interface SyncFile {
  createSyncAccessHandle(options?: { mode: "read-only" }): Promise<SyncHandle>;
}

/** Whether this thread can open the file for synchronous access. */
export function isSyncFile(file: object): file is SyncFile {
  return "createSyncAccessHandle" in file;
}

/** A file that is open for synchronous access. Its methods throw the platform's exceptions. */
export class OpenFile {
  readonly #file: FileSystemFileHandle;
  readonly #handle: SyncHandle;

  private constructor(file: FileSystemFileHandle, handle: SyncHandle) {
    this.#file = file;
    this.#handle = handle;
  }

  /**
   * Opens a file.
   *
   * @throws StoreError `unavailable` if this thread has no synchronous access; or an exception of
   *   the platform
   */
  static async open(file: FileSystemFileHandle, options?: { mode: "read-only" }): Promise<OpenFile> {
    const any: object = file;
    if (!isSyncFile(any)) throw new StoreError("unavailable", "this thread has no synchronous access to files");
    return new OpenFile(file, await any.createSyncAccessHandle(options));
  }

  /** Whether others can open the file for reading at the same time. */
  get isShareable(): boolean {
    return "mode" in this.#handle;
  }

  /** @returns number of bytes read; fewer than requested at the end of the file */
  read(bytes: Uint8Array, at: number): number {
    return this.#handle.read(bytes, { at });
  }

  /** @returns number of bytes written */
  write(bytes: Uint8Array, at: number): number {
    return this.#handle.write(bytes, { at });
  }

  flush(): void {
    this.#handle.flush();
  }

  /**
   * Closes the file. If the file was deleted with this site's data, it stays open until the thread
   * ends: Chromium (156) blocks the thread for ever in the `close` of such a handle.
   *
   * @returns whether the file still exists
   */
  async close(): Promise<boolean> {
    try {
      await this.#file.getFile();
    } catch {
      return false;
    }
    this.#handle.close();
    return true;
  }
}
