/** What the page can be asked for, as JSON both ways. Durations are milliseconds, each from a call to the settling of its promise. */

export interface PageApi {
  /** Opens a store, which the page keeps until `close`. */
  open(name: string, storage?: string): Promise<number>;
  close(): Promise<void>;
  /** Deletes all databases and files of the origin: no method of the library forgets a store as a whole. */
  clear(): Promise<void>;

  /** From the file that was picked, or from a URL. */
  importArchive(archive: ArchiveRequest): Promise<Imported>;
  /** The folder that was picked. */
  importFolder(name: string): Promise<Imported>;
  /** Puts a part of the file that was picked into castore, as one blob and without a store path. */
  ingest(offset: number, size: number): Promise<number>;
  /** Reads the file that was picked, in a worker, as an import does. */
  readPicked(): Promise<number>;

  /** Renders a store path and hashes what comes. */
  renderNar(storePath: string): Promise<Rendered>;
  /** Reads files whole, one after the other. */
  readFiles(storePath: string, paths: readonly string[]): Promise<number>;

  /** Asks the worker beside the store's: the peers, and the parts by themselves. */
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
  /** SRI. */
  readonly narHash: string;
}

export interface Rendered {
  readonly ms: number;
  readonly bytes: number;
  /** SHA-256 in base 16. */
  readonly hash: string;
}

/** Each answers with milliseconds; what is prepared or cleaned up isn't counted. */
export interface PeerApi {
  /** Imports small files as one directory of UnixFS into blockstore-idb. */
  helia(count: number): Promise<number>;
  /** Puts small files into one object store, each in a transaction of its own. */
  indexeddb(count: number): Promise<number>;
  /** Puts that many, which isn't measured, for `readIndexeddb`. */
  prepareIndexeddb(count: number): Promise<number>;
  readIndexeddb(indexes: readonly number[]): Promise<number>;
  /** As a NAR is hashed. */
  sha256(bytes: number): Promise<number>;
  /** As a large file is cut, with the digests of its chunks and its own. */
  cutAndHash(bytes: number): Promise<number>;
  /** One file, through a sync access handle, flushed. */
  opfsWrite(bytes: number): Promise<number>;
}

/** What the page alone can ask for, since a file is no JSON. */
export interface Peers extends PeerApi {
  /** Reads a file as an import does. */
  read(file: File): Promise<number>;
}
