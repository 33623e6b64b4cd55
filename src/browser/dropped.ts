import { quote } from "../bytes.ts";
import { StoreError } from "../error.ts";

/** Levels of directories, as many as a tree may have. A folder that contains itself, through a symlink, has more. */
const MAX_DEPTH = 1024;
/** Files of one folder: some 500 MB of memory. Symlinks to folders above multiply what a folder seems to hold. */
const MAX_FILES = 1_000_000;

/** A folder that was dropped. */
export interface DroppedFolder {
  readonly name: string;
  /** For `Store.importDirectory`. */
  readonly source: FileSystemDirectoryHandle | File[];
}

/**
 * What was dropped on a page: for each folder a handle or, where the browser has none, its files; and the files that were dropped by
 * themselves. To be called while the `drop` event is handled, before anything is awaited: its data is gone afterwards.
 *
 * @throws StoreError `unavailable` if a folder can't be listed; `invalid` if it is too deep, or holds too many files
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
    if (isDirectoryHandle(directory)) folders.push({ name: directory.name, source: directory });
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

/** Some browsers don't even know the class. */
function isDirectoryHandle(handle: unknown): handle is FileSystemDirectoryHandle {
  return typeof FileSystemDirectoryHandle === "function" && handle instanceof FileSystemDirectoryHandle;
}

function isDirectory(entry: FileSystemEntry): entry is FileSystemDirectoryEntry {
  return entry.isDirectory;
}

function isFile(entry: FileSystemEntry): entry is FileSystemFileEntry {
  return entry.isFile;
}

/** Files with the `webkitRelativePath` that a directory input would have given them. @internal */
export async function filesBeneath(root: FileSystemDirectoryEntry, maxFiles: number = MAX_FILES): Promise<File[]> {
  const files: File[] = [];
  const pending = [{ directory: root, depth: 1 }];
  for (let next = pending.pop(); next; next = pending.pop()) {
    const { directory, depth } = next;
    if (depth > MAX_DEPTH) throw new StoreError("invalid", `folder ${quote(root.name)} is more than ${MAX_DEPTH} directories deep`);
    for await (const entry of entriesOf(directory)) {
      if (isDirectory(entry)) pending.push({ directory: entry, depth: depth + 1 });
      else if (isFile(entry)) files.push(await fileOf(entry));
      if (files.length > maxFiles) throw new StoreError("invalid", `folder ${quote(root.name)} has more than ${maxFiles} files`);
    }
  }
  return files;
}

async function* entriesOf(directory: FileSystemDirectoryEntry): AsyncGenerator<FileSystemEntry> {
  const reader = directory.createReader();
  const read = () => new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
  // A reader answers in batches; the empty one is its end.
  for (let batch = await named(directory, read()); batch.length > 0; batch = await named(directory, read())) yield* batch;
}

async function fileOf(entry: FileSystemFileEntry): Promise<File> {
  const file = await named(entry, new Promise<File>((resolve, reject) => entry.file(resolve, reject)));
  // Empty on a file from a drop; the import reads the tree from it.
  Object.defineProperty(file, "webkitRelativePath", { value: entry.fullPath.replace(/^\//, "") });
  return file;
}

/** @throws StoreError `unavailable` that names the entry if `work` fails */
async function named<T>({ isDirectory, fullPath }: FileSystemEntry, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (cause) {
    const what = isDirectory ? "folder" : "file";
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new StoreError("unavailable", `${what} ${quote(fullPath)} can't be read: ${why} Drop it again.`, { cause });
  }
}
