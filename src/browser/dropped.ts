import { quote } from "../bytes.ts";
import { StoreError } from "../error.ts";

/** Maximum depth of a folder. A folder that contains itself through a symlink exceeds it. */
const MAX_DEPTH = 1024;
/**
 * Maximum number of files in one folder. They take some 500 MB of memory. A symlink to a parent
 * folder multiplies the files that a folder seems to contain.
 */
const MAX_FILES = 1_000_000;

/** A folder that was dropped on the page. */
export interface DroppedFolder {
  readonly name: string;
  /** Source for `Store.importDirectory`. */
  readonly source: FileSystemDirectoryHandle | File[];
}

/**
 * Reads the folders and files that were dropped on a page. A folder is a handle or, if the browser
 * has no handles, the list of its files. Call this function in the handler of the `drop` event
 * before the first `await`: the event's data disappears afterwards.
 *
 * @throws StoreError `unavailable` if a folder can't be listed; `invalid` if it is too deep or
 *   contains too many files
 */
export async function droppedItems(data: DataTransfer): Promise<{ folders: DroppedFolder[]; files: File[] }> {
  const folders: DroppedFolder[] = [];
  const files: File[] = [];
  // All items are requested before the first `await`, because the list is empty afterwards.
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

/**
 * Returns `undefined` if the browser has no handles or refuses one. The older interface
 * (`webkitGetAsEntry`) then replaces it.
 */
async function handleOf(item: DataTransferItem): Promise<unknown> {
  const get: unknown = Reflect.get(item, "getAsFileSystemHandle");
  if (typeof get !== "function") return undefined;
  try {
    return await get.call(item);
  } catch {
    return undefined;
  }
}

/** Some browsers don't have the class. */
function isDirectoryHandle(handle: unknown): handle is FileSystemDirectoryHandle {
  return typeof FileSystemDirectoryHandle === "function" && handle instanceof FileSystemDirectoryHandle;
}

function isDirectory(entry: FileSystemEntry): entry is FileSystemDirectoryEntry {
  return entry.isDirectory;
}

function isFile(entry: FileSystemEntry): entry is FileSystemFileEntry {
  return entry.isFile;
}

/**
 * Lists the files beneath `root`, each with the `webkitRelativePath` that a directory input would
 * set.
 *
 * @throws StoreError `unavailable` if a folder or file can't be read; `invalid` if the folder is
 *   too deep or contains too many files
 * @internal
 */
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
  // A reader returns batches; an empty batch is the end.
  for (let batch = await named(directory, read()); batch.length > 0; batch = await named(directory, read())) yield* batch;
}

async function fileOf(entry: FileSystemFileEntry): Promise<File> {
  const file = await named(entry, new Promise<File>((resolve, reject) => entry.file(resolve, reject)));
  // The property is empty on a dropped file, but the import derives the tree from it.
  Object.defineProperty(file, "webkitRelativePath", { value: entry.fullPath.replace(/^\//, "") });
  return file;
}

/**
 * Waits for `work`.
 *
 * @throws StoreError `unavailable` if `work` fails; the message names the entry
 */
async function named<T>({ isDirectory, fullPath }: FileSystemEntry, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (cause) {
    const what = isDirectory ? "folder" : "file";
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new StoreError("unavailable", `${what} ${quote(fullPath)} can't be read: ${why} Drop it again.`, { cause });
  }
}
