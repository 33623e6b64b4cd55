import { StoreError } from "../error.ts";

/** Of a file, as dedicated workers have it; pages don't. */
interface SyncHandle {
  read(bytes: Uint8Array, options: { at: number }): number;
  write(bytes: Uint8Array, options: { at: number }): number;
  flush(): void;
  close(): void;
}

interface SyncFile {
  createSyncAccessHandle(options?: { mode: "read-only" }): Promise<SyncHandle>;
}

/** Whether files can be opened in this thread. */
export function isSyncFile(file: object): file is SyncFile {
  return "createSyncAccessHandle" in file;
}

/** A file that is open for synchronous access. Methods throw the platform's exceptions. */
export class OpenFile {
  readonly #file: FileSystemFileHandle;
  readonly #handle: SyncHandle;

  private constructor(file: FileSystemFileHandle, handle: SyncHandle) {
    this.#file = file;
    this.#handle = handle;
  }

  /** @throws StoreError `unavailable` in a thread that has no such access, or the platform's exceptions */
  static async open(file: FileSystemFileHandle, options?: { mode: "read-only" }): Promise<OpenFile> {
    const any: object = file;
    if (!isSyncFile(any)) throw new StoreError("unavailable", "this thread has no synchronous access to files");
    return new OpenFile(file, await any.createSyncAccessHandle(options));
  }

  /** Whether others can have it open beside us, for reading. */
  get isShareable(): boolean {
    return "mode" in this.#handle;
  }

  /** @returns how many bytes were read; fewer than asked for at the end of the file */
  read(bytes: Uint8Array, at: number): number {
    return this.#handle.read(bytes, { at });
  }

  /** @returns how many bytes were written */
  write(bytes: Uint8Array, at: number): number {
    return this.#handle.write(bytes, { at });
  }

  flush(): void {
    this.#handle.flush();
  }

  /**
   * Lets go of the file. A file that was cleared with this site's data stays open until the thread ends: Chromium (156) blocks the thread for
   * ever in the `close` of its handle.
   *
   * @returns whether the file is still there
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
