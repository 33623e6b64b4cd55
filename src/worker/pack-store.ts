/**
 * Where packs are kept: runs of object bytes, named by an id, written once from front to back and never changed. Nothing above knows
 * which kind it has. What is in a pack, and whether anybody may see it, is said by index records elsewhere (`database.ts`).
 *
 * Methods reject with `quota` if there is no room, `unavailable` if the storage can't be used, `corrupt` (`PackGone`) if a pack is
 * missing or shorter than it has to be.
 */
export interface PackStore {
  /** Starts a pack. @param id not used before */
  create(id: string): Promise<PackWriter>;

  /** Bytes of one finished pack: for each range a buffer or a view, in the order of `ranges`, which belong to the caller. */
  read(id: string, ranges: readonly PackRange[]): Promise<Uint8Array[]>;

  /** Of all packs, whoever wrote them, the ids. */
  list(): Promise<string[]>;

  /** Those of these packs that are not there. */
  missing(ids: readonly string[]): Promise<string[]>;

  /** Removes a pack, if it is there. False if somebody reads it just now, so that it has to be tried again. */
  delete(id: string): Promise<boolean>;

  /** Lets go of what is held of a pack for reading, so that others can remove it. */
  release(id: string): void;

  /** Lets go of everything. */
  close(): void;
}

export interface PackRange {
  /** Bytes. */
  readonly offset: number;
  readonly length: number;
}

/** A pack that is being written. Calls are made one after the other. */
export interface PackWriter {
  /** Appends; the buffer is the caller's again when it resolves. */
  append(bytes: Uint8Array): Promise<void>;
  /** Bytes that were appended. */
  read(range: PackRange): Promise<Uint8Array>;
  /**
   * Ends the pack. When it resolves, it can be read, and everything is with the operating system; unless `sync` is `never`, also on the
   * disk. `beside` lets others of this thread go on meanwhile. Rejects with `unavailable` if somebody has removed it.
   */
  finish(sync: "now" | "beside" | "never"): Promise<void>;
  /** Removes what there is of it. */
  abort(): Promise<void>;
}
