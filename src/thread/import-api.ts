import type { FileNode } from "../castore/node.ts";
import type { TarOptions } from "../castore/tar-entries.ts";
import type { Addressing } from "../store/addressing.ts";
import type { PathInfo } from "../store/path-info.ts";

/** Calls that write content of the page into the store. */
export interface ImportApi {
  importFolder(source: FolderSource, options: Addressing, operation: MessagePort): Promise<ImportedPathInfo>;
  importArchive(source: ArchiveSource, options: ArchiveOptions, operation: MessagePort): Promise<PathInfo>;
  importNario(source: ArchiveSource, operation: MessagePort): Promise<PathInfo[]>;
  /** Writes one blob and pins it under the name `pin`. */
  importBlob(source: ArchiveSource, pin: string, operation: MessagePort): Promise<FileNode>;
}

/**
 * A folder to import: a handle, or files with their paths below the folder (names joined by `/`).
 */
export type FolderSource = { handle: FileSystemDirectoryHandle } | { files: readonly { path: string; file: File }[] };

/** A stream that comes through a port, or a Blob that the worker reads itself. */
export type ArchiveSource = { blob: Blob } | { port: MessagePort };

/**
 * Format and options of an archive. A `file` is not unpacked: it becomes the content of the store
 * path unchanged.
 */
export type ArchiveOptions =
  | ({ format: "tar" } & TarOptions & Addressing)
  | ({ format: "nar" | "file" } & Addressing)
  | { format: "nar"; narInfo: string };

/** Properties of files that a source can't report, so the import lacks them. */
export type NotTold = "executable-bits" | "symlinks" | "empty-directories";

export interface ImportedPathInfo extends PathInfo {
  /**
   * Properties of files that the source could not report. Executables were then imported as plain
   * files. Symlinks were imported as their targets, or left out.
   */
  readonly notTold: readonly NotTold[];
}
