import { decodeUtf8, quote, utf8 } from "../bytes.ts";
import type { BlobUploader } from "../castore/blob-uploader.ts";
import type { EntryPath, IngestionEntry } from "../castore/ingest.ts";
import { StoreError } from "../error.ts";
import type { OperationOptions } from "../progress.ts";
import { iterate } from "../stream.ts";
import type { FolderSource, NotTold } from "../thread/store-api.ts";

/** Files that are read at a time: a browser reads one after the other at 900 a second, 64 at once at 5000. */
const FILES_AHEAD = 64;
/** Files up to this length are read ahead; longer ones are streamed when their turn comes. */
const READ_AHEAD_LIMIT = 256 * 1024;

type FolderItem = { kind: "directory"; path: EntryPath } | { kind: "file"; path: EntryPath; open(): Promise<File> };

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
  for await (const item of ahead(items, FILES_AHEAD, startReading)) {
    options.signal?.throwIfAborted();
    if (item.kind === "directory") {
      yield item;
      continue;
    }
    uploader.begin();
    const content = await item.content;
    if (content instanceof Uint8Array) {
      uploader.write(content);
      loaded += content.length;
    } else {
      for await (const bytes of readLarge(item.path, content, options.signal)) {
        uploader.write(bytes);
        await uploader.drain();
        loaded += bytes.length;
        options.onProgress?.({ phase: "reading", loaded, total });
      }
    }
    const contents = uploader.end();
    await uploader.drain();
    options.onProgress?.({ phase: "reading", loaded, total });
    yield { kind: "file", path: item.path, executable: false, contents };
  }
}

type ReadingItem = { kind: "directory"; path: EntryPath } | { kind: "file"; path: EntryPath; content: Promise<Uint8Array | File> };

function startReading(item: FolderItem): ReadingItem {
  if (item.kind === "directory") return item;
  const content = readSmall(item);
  // It is awaited when its turn comes; until then nobody may call it unhandled.
  content.catch(() => {});
  return { kind: "file", path: item.path, content };
}

async function readSmall({ path, open }: Extract<FolderItem, { kind: "file" }>): Promise<Uint8Array | File> {
  try {
    const file = await open();
    return file.size <= READ_AHEAD_LIMIT ? new Uint8Array(await file.arrayBuffer()) : file;
  } catch (error) {
    throw unreadable(path, error);
  }
}

async function* readLarge(path: EntryPath, file: File, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
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

/** Yields `start(item)` of each item in order, having started up to `count` of them. */
async function* ahead<In, Out>(items: AsyncIterable<In>, count: number, start: (item: In) => Out): AsyncGenerator<Out> {
  const started: Out[] = [];
  for await (const item of items) {
    started.push(start(item));
    if (started.length >= count) yield started.shift() as Out;
  }
  yield* started;
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
