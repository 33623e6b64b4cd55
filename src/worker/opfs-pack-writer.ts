import type { ByteRange } from "../byte-range.ts";
import { StoreError } from "../error.ts";
import type { OpenFile } from "./open-file.ts";
import type { PackWriter } from "./pack-store.ts";
import { FILES_CLEARED, PackGone, storageError } from "./storage-error.ts";

/** Writes a pack to a file, through a synchronous access handle. */
export class OpfsPackWriter implements PackWriter {
  readonly #id: string;
  readonly #handle: OpenFile;
  readonly #flush: () => Promise<void>;
  readonly #remove: () => Promise<void>;
  #length = 0;

  /** @param flush flushes the file in another thread, after the handle is closed */
  constructor(id: string, handle: OpenFile, flush: () => Promise<void>, remove: () => Promise<void>) {
    this.#id = id;
    this.#handle = handle;
    this.#flush = flush;
    this.#remove = remove;
  }

  async append(bytes: Uint8Array): Promise<void> {
    try {
      const written = this.#handle.write(bytes, this.#length);
      if (written !== bytes.length) throw new StoreError("quota", "the browser has no room left for this store");
      this.#length += written;
    } catch (error) {
      throw storageError(error, "the file system of this origin");
    }
  }

  async read({ offset, length }: ByteRange): Promise<Uint8Array> {
    const bytes = new Uint8Array(length);
    if (this.#handle.read(bytes, offset) !== length) throw new PackGone(this.#id, "is cut short");
    return bytes;
  }

  async finish(sync: "now" | "beside" | "never"): Promise<void> {
    let isThere = false;
    try {
      try {
        if (sync === "now") this.#handle.flush();
      } finally {
        isThere = await this.#handle.close();
      }
      if (isThere && sync === "beside") await this.#flush();
    } catch (error) {
      throw storageError(error, "the file system of this origin");
    }
    if (!isThere) throw new StoreError("unavailable", FILES_CLEARED);
  }

  async abort(): Promise<void> {
    await this.#handle.close();
    await this.#remove();
  }
}
