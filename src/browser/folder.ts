import type { FolderSource } from "../thread/store-api.ts";

/**
 * What the worker is told of a picked folder. A handle goes as it is. Files lose their `webkitRelativePath` on the way, so it goes
 * beside them, less its first name, which is the folder's own.
 */
export function folderSource(source: FileSystemDirectoryHandle | Iterable<File>): FolderSource {
  if ("kind" in source) return { handle: source };
  const files = Array.from(source, (file) => ({ path: file.webkitRelativePath.replace(/^[^/]*\//, "") || file.name, file }));
  return { files };
}
