import type { ByteRange } from "../byte-range.ts";
import { RecentlyUsed } from "../recently-used.ts";
import { Flusher } from "./flusher.ts";
import { isSyncFile, OpenFile } from "./open-file.ts";
import { makeDirectory } from "./opfs-directory.ts";
import { OpfsPackWriter } from "./opfs-pack-writer.ts";
import type { PackStore, PackWriter } from "./pack-store.ts";
import { coalesced } from "./read-ranges.ts";
import { PackGone, storageError } from "./storage-error.ts";

/** Number of handles that are kept open for reading. Each is a file descriptor. */
const MAX_OPEN = 64;
/** Milliseconds after which a browser that has not answered counts as one without OPFS. */
const PROBE_TIME = 3000;
const SUFFIX = ".pack";
/**
 * Names of the errors that browsers throw if a file does not exist or disappears while it is read.
 * The last one is Firefox's.
 */
const GONE = ["NotFoundError", "NotReadableError", "AbortError"];
/**
 * Packs as files in the origin private file system: `tvix-store-web/STORE/ID.pack`. A pack is
 * written through a synchronous access handle, so nobody else can open it meanwhile. Packs are read
 * through shared handles in browsers that have them (Chromium), otherwise as `File`.
 */
export class OpfsPacks implements PackStore {
  /** Whether this thread can create packs. */
  readonly isWritable: boolean;
  readonly #storeName: string;
  #directory: FileSystemDirectoryHandle;
  readonly #sharesHandles: boolean;
  readonly #flusher: Flusher;
  /** Handles that are open for reading. */
  readonly #handles = new RecentlyUsed<string, Promise<OpenFile>>(MAX_OPEN, undefined, (_, opening) => void closeHandle(opening));

  private constructor(
    storeName: string,
    directory: FileSystemDirectoryHandle,
    { isWritable, sharesHandles }: { isWritable: boolean; sharesHandles: boolean },
  ) {
    this.isWritable = isWritable;
    this.#storeName = storeName;
    this.#directory = directory;
    this.#flusher = new Flusher();
    this.#sharesHandles = sharesHandles;
  }

  /**
   * Opens the packs of a store. Writes a test file, because some browsers refuse only then.
   *
   * @returns `undefined` if OPFS is missing in this browser, its mode or this kind of thread
   */
  static async open(storeName: string): Promise<OpfsPacks | undefined> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<undefined>((resolve) => {
      timer = setTimeout(() => resolve(undefined), PROBE_TIME);
    });
    try {
      return await Promise.race([OpfsPacks.#probe(storeName), late]);
    } catch {
      return undefined;
    } finally {
      clearTimeout(timer);
    }
  }

  static async #probe(storeName: string): Promise<OpfsPacks | undefined> {
    if (!navigator.storage?.getDirectory) return undefined;
    const directory = await makeDirectory(storeName);
    const name = `probe-${crypto.randomUUID()}`;
    const file = await directory.getFileHandle(name, { create: true });
    try {
      // Only dedicated workers can write.
      if (!isSyncFile(file)) return new OpfsPacks(storeName, directory, { isWritable: false, sharesHandles: false });
      const handle = await OpenFile.open(file);
      try {
        if (handle.write(new Uint8Array(1), 0) !== 1) return undefined;
      } finally {
        await handle.close();
      }
      return new OpfsPacks(storeName, directory, { isWritable: true, sharesHandles: handle.isShareable });
    } finally {
      await directory.removeEntry(name);
    }
  }

  async create(id: string): Promise<PackWriter> {
    return this.#guarded(async () => {
      const file = await this.#createFile(id + SUFFIX);
      return new OpfsPackWriter(
        id,
        await OpenFile.open(file),
        () => this.#flusher.flush(file),
        async () => void (await this.delete(id)),
      );
    });
  }

  async read(id: string, ranges: readonly ByteRange[]): Promise<Uint8Array[]> {
    return this.#guarded(() => (this.#sharesHandles ? this.#readHandle(id, ranges) : this.#readFile(id, ranges)), id);
  }

  async size(id: string): Promise<number> {
    return this.#guarded(async () => {
      const file = await this.#directory.getFileHandle(id + SUFFIX);
      return (await file.getFile()).size;
    }, id);
  }

  async list(): Promise<string[]> {
    return this.#guarded(async () => {
      const ids: string[] = [];
      try {
        for await (const name of this.#directory.keys()) if (name.endsWith(SUFFIX)) ids.push(name.slice(0, -SUFFIX.length));
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
      return ids;
    });
  }

  async missing(ids: readonly string[]): Promise<string[]> {
    const isThere = await this.#guarded(() => Promise.all(ids.map((id) => this.#hasFile(id + SUFFIX))));
    return ids.filter((_, i) => !isThere[i]);
  }

  async delete(id: string): Promise<boolean> {
    await this.#close(id);
    try {
      await this.#directory.removeEntry(id + SUFFIX);
    } catch (error) {
      if (!(error instanceof DOMException)) throw error;
      if (error.name === "NoModificationAllowedError" || error.name === "InvalidStateError") return false;
      if (error.name !== "NotFoundError") throw storageError(error, "the file system of this origin");
    }
    return true;
  }

  close(): void {
    for (const [id] of [...this.#handles.entries()]) this.release(id);
    this.#flusher.close();
  }

  release(id: string): void {
    this.#close(id).catch(() => {});
  }

  async #close(id: string): Promise<void> {
    const opening = this.#handles.peek(id);
    this.#handles.delete(id);
    if (opening) await closeHandle(opening);
  }

  async #createFile(name: string): Promise<FileSystemFileHandle> {
    try {
      return await this.#directory.getFileHandle(name, { create: true });
    } catch (error) {
      // If this site's files were cleared, the directory is gone too. Firefox reports another error
      // in this case, so create the directory again after any error but a full disk.
      if (!(error instanceof DOMException) || error.name === "QuotaExceededError") throw error;
      this.#directory = await makeDirectory(this.#storeName);
      return this.#directory.getFileHandle(name, { create: true });
    }
  }

  async #hasFile(name: string): Promise<boolean> {
    try {
      await this.#directory.getFileHandle(name);
      return true;
    } catch (error) {
      if (isNotFound(error)) return false;
      throw error;
    }
  }

  async #readHandle(id: string, ranges: readonly ByteRange[]): Promise<Uint8Array[]> {
    const buffer = new ArrayBuffer(ranges.reduce((sum, { length }) => sum + length, 0));
    const handle = await this.#handle(id);
    let start = 0;
    return ranges.map(({ offset, length }) => {
      const bytes = new Uint8Array(buffer, start, length);
      start += length;
      if (length > 0 && handle.read(bytes, offset) !== length) throw new PackGone(id, "is cut short");
      return bytes;
    });
  }

  #handle(id: string): Promise<OpenFile> {
    const known = this.#handles.get(id);
    if (known) return known;
    const opening = this.#directory.getFileHandle(id + SUFFIX).then((file) => OpenFile.open(file, { mode: "read-only" }));
    opening.catch(() => {
      // The pack may have been released and opened again since.
      if (this.#handles.peek(id) === opening) this.#handles.delete(id);
    });
    this.#handles.set(id, opening);
    return opening;
  }

  async #readFile(id: string, ranges: readonly ByteRange[]): Promise<Uint8Array[]> {
    const handle = await this.#directory.getFileHandle(id + SUFFIX);
    const file = await handle.getFile();
    return coalesced(ranges, async (offset, length) => {
      const bytes = new Uint8Array(await file.slice(offset, offset + length).arrayBuffer());
      if (bytes.length !== length) throw new PackGone(id, "is cut short");
      return bytes;
    });
  }

  async #guarded<T>(work: () => Promise<T>, id?: string): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (id !== undefined && error instanceof DOMException && GONE.includes(error.name))
        throw new PackGone(id, "is missing", { cause: error });
      throw storageError(error, "the file system of this origin");
    }
  }
}

function isNotFound(error: unknown): boolean {
  return error instanceof DOMException && error.name === "NotFoundError";
}

/** Closes a file once it is open. An error is of no use to a caller that only makes room. */
async function closeHandle(opening: Promise<OpenFile>): Promise<void> {
  const handle = await opening.catch(() => undefined);
  await handle?.close().catch(() => {});
}
