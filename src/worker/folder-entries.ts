import { decodeUtf8, quote, utf8 } from "../bytes.ts";
import type { BlobUploader } from "../castore/blob-uploader.ts";
import type { EntryPath, IngestionEntry } from "../castore/ingest.ts";
import { StoreError } from "../error.ts";
import type { OperationOptions } from "../progress.ts";
import { iterate } from "../stream.ts";
import type { FolderSource, NotTold } from "../thread/store-api.ts";

/** Files that are looked up at a time. */
const OPENED_AHEAD = 64;
/**
 * Short files are read together, as one blob: a browser takes longer to begin to read than to read, and reads a file after another within a
 * blob for a third of the time. A batch ends at so many entries, or bytes.
 */
const BATCH_COUNT = 64;
const BATCH_BYTES = 1024 * 1024;
/** Batches that are read at a time. */
const BATCHES_AHEAD = 8;
/** Files up to this length go into batches; longer ones are streamed when their turn comes. */
const SHORT = 256 * 1024;

type FolderDirectory = { readonly kind: "directory"; readonly path: EntryPath };
type FolderFile = { readonly kind: "file"; readonly path: EntryPath; readonly file: File };
type FolderItem = FolderDirectory | { kind: "file"; path: EntryPath; open(): Promise<File> };
type FolderEntry = FolderDirectory | FolderFile;

/** What the source can't tell, whatever is in it. */
export function notTold(source: FolderSource): NotTold[] {
  return "handle" in source ? ["executable-bits", "symlinks"] : ["executable-bits", "symlinks", "empty-directories"];
}

/**
 * The entries of a picked folder. Names are text here, so they become UTF-8.
 *
 * @throws StoreError `unavailable` if a file can't be read, or has changed since it was picked
 */
export async function* folderEntries(
  source: FolderSource,
  uploader: BlobUploader,
  options: OperationOptions,
): AsyncGenerator<IngestionEntry> {
  const items = "handle" in source ? handleItems(source.handle) : listItems(source.files);
  const total = "handle" in source ? undefined : source.files.reduce((sum, { file }) => sum + file.size, 0);
  let loaded = 0;
  const opened = ahead(items, OPENED_AHEAD, open);
  for await (const { entries, contents } of ahead(batches(opened), BATCHES_AHEAD, read)) {
    for (const entry of entries) {
      options.signal?.throwIfAborted();
      if (entry.kind === "directory") {
        yield entry;
        continue;
      }
      const content = contents.get(entry);
      uploader.begin();
      for await (const bytes of content ? [content] : readLong(entry, options.signal)) {
        uploader.write(bytes);
        await uploader.drain();
        loaded += bytes.length;
        options.onProgress?.({ phase: "reading", loaded, total });
      }
      const blob = uploader.end();
      await uploader.drain();
      yield { kind: "file", path: entry.path, executable: false, contents: blob };
    }
  }
}

async function open(item: FolderItem): Promise<FolderEntry> {
  if (item.kind === "directory") return item;
  try {
    return { kind: "file", path: item.path, file: await item.open() };
  } catch (error) {
    throw unreadable(item.path, error);
  }
}

async function* batches(entries: AsyncIterable<FolderEntry>): AsyncGenerator<FolderEntry[]> {
  let batch: FolderEntry[] = [];
  let bytes = 0;
  for await (const entry of entries) {
    batch.push(entry);
    if (entry.kind === "file") bytes += entry.file.size;
    if (batch.length < BATCH_COUNT && bytes < BATCH_BYTES) continue;
    yield batch;
    batch = [];
    bytes = 0;
  }
  if (batch.length > 0) yield batch;
}

interface Batch {
  readonly entries: readonly FolderEntry[];
  /** Of the short files. */
  readonly contents: ReadonlyMap<FolderEntry, Uint8Array>;
}

async function read(entries: readonly FolderEntry[]): Promise<Batch> {
  return { entries, contents: await readShort(entries.filter(isShort)) };
}

function isShort(entry: FolderEntry): entry is FolderFile {
  return entry.kind === "file" && entry.file.size <= SHORT;
}

async function readShort(files: readonly FolderFile[]): Promise<ReadonlyMap<FolderEntry, Uint8Array>> {
  const together = await readTogether(files);
  const contents = together ?? (await Promise.all(files.map(readAlone)));
  return new Map(files.map((file, i) => [file, contents[i] as Uint8Array]));
}

/** `undefined` if one of them can't be read, or has another length than it had. */
async function readTogether(files: readonly FolderFile[]): Promise<Uint8Array[] | undefined> {
  const total = files.reduce((sum, { file }) => sum + file.size, 0);
  try {
    const bytes = new Uint8Array(await new Blob(files.map(({ file }) => file)).arrayBuffer());
    if (bytes.length !== total) return undefined;
    let end = 0;
    return files.map(({ file }) => {
      end += file.size;
      return bytes.subarray(end - file.size, end);
    });
  } catch {
    return undefined;
  }
}

async function readAlone({ path, file }: FolderFile): Promise<Uint8Array> {
  try {
    return new Uint8Array(await file.arrayBuffer());
  } catch (error) {
    throw unreadable(path, error);
  }
}

async function* readLong({ path, file }: FolderFile, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
  try {
    yield* iterate(file.stream(), signal);
  } catch (error) {
    signal?.throwIfAborted();
    throw unreadable(path, error);
  }
}

function unreadable(path: EntryPath, cause: unknown): StoreError {
  const shown = path.map(decodeUtf8).join("/");
  const why = cause instanceof Error ? cause.message : String(cause);
  return new StoreError("unavailable", `file ${quote(shown)} can't be read: ${why}`, { cause });
}

/** Yields what `start(item)` resolves to, of each item in order, having started up to `count` of them. */
async function* ahead<In, Out>(items: AsyncIterable<In>, count: number, start: (item: In) => Promise<Out>): AsyncGenerator<Out> {
  const started: Promise<Out>[] = [];
  for await (const item of items) {
    const result = start(item);
    // It is awaited when its turn comes; until then nobody may call it unhandled.
    result.catch(() => {});
    started.push(result);
    if (started.length >= count) yield started.shift() as Promise<Out>;
  }
  // Not `yield*`: WebKit never settles when it comes to one that was rejected.
  for (const result of started) yield result;
}

/** Depth first, directories after what is in them. */
async function* handleItems(root: FileSystemDirectoryHandle): AsyncGenerator<FolderItem> {
  const stack = [{ path: [] as EntryPath, entries: root.entries() }];
  for (let frame = stack.at(-1); frame; frame = stack.at(-1)) {
    const next = await frame.entries.next();
    if (next.done) {
      stack.pop();
      yield { kind: "directory", path: frame.path };
      continue;
    }
    const [name, handle] = next.value;
    const path = [...frame.path, utf8(name)];
    if (isDirectory(handle)) stack.push({ path, entries: handle.entries() });
    else if (isFile(handle)) yield { kind: "file", path, open: () => handle.getFile() };
  }
}

function isDirectory(handle: FileSystemHandle): handle is FileSystemDirectoryHandle {
  return handle.kind === "directory";
}

function isFile(handle: FileSystemHandle): handle is FileSystemFileHandle {
  return handle.kind === "file";
}

type Tree = Map<string, Tree | File>;

async function* listItems(files: readonly { path: string; file: File }[]): AsyncGenerator<FolderItem> {
  const root: Tree = new Map();
  for (const { path, file } of files) {
    const names = path.split("/");
    let directory = root;
    for (const name of names.slice(0, -1)) {
      const child = directory.get(name) ?? new Map();
      if (child instanceof File) throw new StoreError("invalid", `${JSON.stringify(path)} is beneath a file of the same list`);
      directory.set(name, child);
      directory = child;
    }
    const name = names.at(-1) ?? "";
    if (directory.has(name)) throw new StoreError("invalid", `${JSON.stringify(path)} is in the list of files twice`);
    directory.set(name, file);
  }
  yield* treeItems(root, []);
}

function* treeItems(directory: Tree, path: EntryPath): Generator<FolderItem> {
  for (const [name, child] of directory) {
    const childPath = [...path, utf8(name)];
    if (child instanceof File) yield { kind: "file", path: childPath, open: async () => child };
    else yield* treeItems(child, childPath);
  }
  yield { kind: "directory", path };
}
