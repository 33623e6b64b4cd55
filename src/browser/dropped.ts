/** A folder that was dropped. */
export interface DroppedFolder {
  readonly name: string;
  /** For `Store.importDirectory`. */
  readonly source: FileSystemDirectoryHandle | File[];
}

/**
 * What was dropped on a page: for each folder a handle or, where the browser has none, its files; and the files that were dropped by
 * themselves. To be called while the `drop` event is handled, before anything is awaited: its data is gone afterwards.
 */
export async function droppedItems(data: DataTransfer): Promise<{ folders: DroppedFolder[]; files: File[] }> {
  const folders: DroppedFolder[] = [];
  const files: File[] = [];
  // Everything is asked for at once, because there is nothing left to ask after the first wait.
  const asked = [...data.items]
    .filter((item) => item.kind === "file")
    .map((item) => ({ handle: handleOf(item), entry: item.webkitGetAsEntry(), file: item.getAsFile() }));
  for (const { handle, entry, file } of asked) {
    const directory = await handle;
    if (directory instanceof FileSystemDirectoryHandle) folders.push({ name: directory.name, source: directory });
    else if (entry && isDirectory(entry)) folders.push({ name: entry.name, source: await filesBeneath(entry) });
    else if (file) files.push(file);
  }
  return { folders, files };
}

/** Undefined where the browser has no handles, or gives none: then the older interface serves. */
async function handleOf(item: DataTransferItem): Promise<unknown> {
  const get: unknown = Reflect.get(item, "getAsFileSystemHandle");
  if (typeof get !== "function") return undefined;
  try {
    return await get.call(item);
  } catch {
    return undefined;
  }
}

function isDirectory(entry: FileSystemEntry): entry is FileSystemDirectoryEntry {
  return entry.isDirectory;
}

function isFile(entry: FileSystemEntry): entry is FileSystemFileEntry {
  return entry.isFile;
}

/** Files with the `webkitRelativePath` that a directory input would have given them. */
async function filesBeneath(root: FileSystemDirectoryEntry): Promise<File[]> {
  const files: File[] = [];
  const pending = [root];
  for (let directory = pending.pop(); directory; directory = pending.pop()) {
    const reader = directory.createReader();
    const read = () => new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    // A reader answers in batches; the empty one is its end.
    for (let batch = await read(); batch.length > 0; batch = await read()) {
      for (const entry of batch) {
        if (isDirectory(entry)) pending.push(entry);
        else if (isFile(entry)) files.push(await fileOf(entry));
      }
    }
  }
  return files;
}

async function fileOf(entry: FileSystemFileEntry): Promise<File> {
  const file = await new Promise<File>((resolve, reject) => entry.file(resolve, reject));
  // Empty on a file from a drop; the import reads the tree from it.
  Object.defineProperty(file, "webkitRelativePath", { value: entry.fullPath.replace(/^\//, "") });
  return file;
}
