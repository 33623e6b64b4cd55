import type { BlobUploader } from "../castore/blob-uploader.ts";
import { type IngestionEntry, showPath } from "../castore/ingest.ts";
import { StoreError } from "../error.ts";
import type { OperationOptions } from "../progress.ts";
import type { FolderSource, NotTold } from "../thread/store-api.ts";
import { type FolderDirectory, type FolderItem, folderItems } from "./folder-tree.ts";
import { type PickedFile, readPicked, readTogether } from "./picked-files.ts";

/** Files that are looked up at a time. */
const OPENED_AHEAD = 64;
/** A batch of files that are read together ends at so many entries, or bytes. */
const BATCH_COUNT = 64;
const BATCH_BYTES = 1024 * 1024;
/** Batches that are read at a time. */
const BATCHES_AHEAD = 8;
/** Files up to this length go into batches; longer ones are streamed when their turn comes. */
const SHORT = 256 * 1024;

type FolderFile = PickedFile & { readonly kind: "file" };
type FolderEntry = FolderDirectory | FolderFile;

/** What the source can't tell, whatever is in it. */
export function notTold(source: FolderSource): NotTold[] {
  return "handle" in source ? ["executable-bits", "symlinks"] : ["executable-bits", "symlinks", "empty-directories"];
}

/**
 * The entries of a picked folder, with their contents.
 *
 * @throws StoreError `unavailable` if a file can't be read, or has changed since it was picked, as far as the browser tells; `invalid` for
 *   a folder that can't be a tree (`folderItems`)
 */
export async function* folderEntries(
  source: FolderSource,
  uploader: BlobUploader,
  options: OperationOptions,
): AsyncGenerator<IngestionEntry> {
  const total = "handle" in source ? undefined : source.files.reduce((sum, { file }) => sum + file.size, 0);
  let loaded = 0;
  const opened = ahead(folderItems(source), OPENED_AHEAD, open);
  for await (const { entries, contents } of ahead(batches(opened), BATCHES_AHEAD, read)) {
    for (const entry of entries) {
      options.signal?.throwIfAborted();
      if (entry.kind === "directory") {
        yield entry;
        continue;
      }
      const content = contents.get(entry);
      uploader.begin();
      for await (const bytes of content ? [content] : readPicked(entry, options.signal)) {
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
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new StoreError("unavailable", `file ${showPath(item.path)} can't be opened: ${why} Pick the folder again.`, { cause });
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
  const short = entries.filter(isShort);
  const contents = await readTogether(short);
  return { entries, contents: new Map(short.map((file, i) => [file, contents[i] as Uint8Array])) };
}

function isShort(entry: FolderEntry): entry is FolderFile {
  return entry.kind === "file" && entry.file.size <= SHORT;
}

/** Yields what `start(item)` resolves to, of each item in order, having started up to `count` of them. */
async function* ahead<In, Out>(
  items: AsyncIterable<In> | Iterable<In>,
  count: number,
  start: (item: In) => Promise<Out>,
): AsyncGenerator<Out> {
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
