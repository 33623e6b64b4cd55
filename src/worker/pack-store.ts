import type { ByteRange } from "../byte-range.ts";

/**
 * A storage for packs. A pack is a sequence of bytes under an id: a header, objects and a trailer.
 * It is written once from front to back and never changes. The callers of a PackStore don't know
 * which storage it uses. Index records elsewhere (`database.ts`) say which objects a pack holds,
 * and make it visible.
 *
 * Methods reject with `quota` if there is no space, with `unavailable` if the storage can't be
 * used, and with `corrupt` (`PackGone`) if a pack is missing or cut short.
 */
export interface PackStore {
  /** Starts a pack. @param id an id that no pack had before */
  create(id: string): Promise<PackWriter>;

  /**
   * Reads ranges of a finished pack.
   *
   * @returns a buffer or a view for each range, in the order of `ranges`; they belong to the caller
   */
  read(id: string, ranges: readonly ByteRange[]): Promise<Uint8Array[]>;

  /** Returns the length of a finished pack in bytes. */
  size(id: string): Promise<number>;

  /** Lists the ids of all packs, no matter who wrote them. */
  list(): Promise<string[]>;

  /** Returns those of `ids` that have no pack. */
  missing(ids: readonly string[]): Promise<string[]>;

  /**
   * Deletes a pack, if it exists.
   *
   * @returns false if a reader has the pack open; the caller then has to try again later
   */
  delete(id: string): Promise<boolean>;

  /**
   * Closes the handles that are open for reading a pack, so that other tabs can delete the pack.
   */
  release(id: string): void;

  /** Closes all handles that are open for reading. */
  close(): void;
}

/** A pack that is being written. The owner makes one call after the other. */
export interface PackWriter {
  /** Appends bytes. When it resolves, the buffer belongs to the caller again. */
  append(bytes: Uint8Array): Promise<void>;
  /** Reads bytes that were appended. */
  read(range: ByteRange): Promise<Uint8Array>;
  /**
   * Ends the pack. When it resolves, the pack can be read, and all bytes have been passed to the
   * operating system. Unless `sync` is `never`, the pack is also flushed to the disk. `now` flushes
   * in this thread and may block it. `beside` flushes in another thread.
   *
   * @throws StoreError `unavailable` if the browser has deleted the pack's file
   */
  finish(sync: "now" | "beside" | "never"): Promise<void>;
  /** Ends the pack and deletes it. */
  abort(): Promise<void>;
}
