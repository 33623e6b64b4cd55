import type { FolderSource } from "../thread/import-api.ts";

/**
 * Describes a picked folder for the worker. A handle is sent as it is. Files lose their
 * `webkitRelativePath` in the transfer, so it is sent separately, without its first name, which is
 * that of the folder.
 */
export function folderSource(source: FileSystemDirectoryHandle | Iterable<File>): FolderSource {
  if ("kind" in source) return { handle: source };
  const files = Array.from(source, (file) => ({ path: file.webkitRelativePath.replace(/^[^/]*\//, "") || file.name, file }));
  return { files };
}
