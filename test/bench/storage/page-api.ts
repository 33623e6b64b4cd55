/**
 * Functions of the page. Arguments and results are JSON. Durations are in milliseconds, each from
 * the call until its promise settles.
 */

export interface PageApi {
  /** Opens a store, which the page keeps until `close`. */
  open(name: string, storage?: string): Promise<number>;
  close(): Promise<void>;
  /**
   * Deletes all databases and files of the origin. This also removes data outside of the library's
   * stores.
   */
  clear(): Promise<void>;

  /** Imports the selected file, or an archive from a URL. */
  importArchive(archive: ArchiveRequest): Promise<Imported>;
  /** Imports the selected folder. */
  importFolder(name: string): Promise<Imported>;
  /** Stores a part of the selected file in castore, as one blob without a store path. */
  ingest(offset: number, size: number): Promise<number>;
  /** Reads the selected file in a worker, as an import does. */
  readPicked(): Promise<number>;

  /**
   * Hashes the selected file, or an archive from a URL, with SHA-256. A worker reads the same
   * stream as an import does, and a hash worker hashes it.
   */
  sha256Archive(archive: ArchiveRequest): Promise<number>;

  /** Renders a store path as a NAR and hashes the NAR. */
  renderNar(storePath: string): Promise<Rendered>;
  /** Reads whole files, one after the other. */
  readFiles(storePath: string, paths: readonly string[]): Promise<number>;

  /** Calls the additional worker, which runs the peers and the separate parts of an import. */
  peer<K extends keyof PeerApi>(method: K, ...args: Parameters<PeerApi[K]>): Promise<number>;
}

export interface ArchiveRequest {
  readonly format: "nar" | "tar";
  readonly name: string;
  readonly url?: string | undefined;
}

export interface Imported {
  readonly ms: number;
  readonly storePath: string;
  /** NAR hash, in SRI form. */
  readonly narHash: string;
}

export interface Rendered {
  readonly ms: number;
  readonly bytes: number;
  /** SHA-256 of the NAR, in hexadecimal. */
  readonly hash: string;
}

/**
 * Functions of the additional worker. Each resolves to a duration in milliseconds, without
 * preparation and cleanup.
 */
export interface PeerApi {
  /** Imports small files into blockstore-idb, as one directory of UnixFS. */
  helia(count: number): Promise<number>;
  /** Puts small files into one object store, each in its own transaction. */
  indexeddb(count: number): Promise<number>;
  /** Puts small files for `readIndexeddb`. The duration is not used. */
  prepareIndexeddb(count: number): Promise<number>;
  readIndexeddb(indexes: readonly number[]): Promise<number>;
  /** Hashes as for a NAR. */
  sha256(bytes: number): Promise<number>;
  /** Cuts content as for a large file, with the digests of its chunks and of the blob. */
  cutAndHash(bytes: number): Promise<number>;
  /** Writes one file through a sync access handle, and flushes it. */
  opfsWrite(bytes: number): Promise<number>;
}

/** Functions of the additional worker that only the page can call, because a `File` is not JSON. */
export interface Peers extends PeerApi {
  /** Reads a file as an import does. */
  read(file: File): Promise<number>;
  /** Hashes a file, or the content of a URL, while reading it. */
  sha256Source(source: File | string): Promise<number>;
}
