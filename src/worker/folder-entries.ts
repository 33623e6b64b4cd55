import type { BlobUploader } from "../castore/blob-uploader.ts";
import { type IngestionEntry, showPath } from "../castore/ingest.ts";
import { StoreError } from "../error.ts";
import type { OperationOptions } from "../progress.ts";
import type { FolderSource, NotTold } from "../thread/import-api.ts";
import { type FolderDirectory, type FolderItem, folderItems } from "./folder-tree.ts";
import { type PickedFile, readPicked, readTogether } from "./picked-files.ts";

/** Number of files that are looked up at a time. */
const OPENED_AHEAD = 64;
/** Limits of a batch of files that are read together: number of entries, and bytes. */
const BATCH_COUNT = 64;
const BATCH_BYTES = 1024 * 1024;
/** Number of batches that are read at a time. */
const BATCHES_AHEAD = 8;
/** Files up to this many bytes go into batches; longer files are streamed when their turn comes. */
const SHORT = 256 * 1024;

type FolderFile = PickedFile & { readonly kind: "file" };
type FolderEntry = FolderDirectory | FolderFile;

/** Names the properties of a folder that this kind of source never tells. */
export function notTold(source: FolderSource): NotTold[] {
  return "handle" in source ? ["executable-bits", "symlinks"] : ["executable-bits", "symlinks", "empty-directories"];
}

/**
 * Yields the entries of a picked folder, with their contents.
 *
 * @throws StoreError `unavailable` if a file can't be read, or has changed since it was picked, as
 *   far as the browser tells; `invalid` if the folder can't be a tree (`folderItems`)
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
        options.onProgress?.({ phase: "reading", unit: "bytes", loaded, total });
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
  /** Contents of the short files. */
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

/** Yields the result of `start(item)` for each item, in order. Starts up to `count` items ahead. */
async function* ahead<In, Out>(
  items: AsyncIterable<In> | Iterable<In>,
  count: number,
  start: (item: In) => Promise<Out>,
): AsyncGenerator<Out> {
  const started: Promise<Out>[] = [];
  for await (const item of items) {
    const result = start(item);
    // The result is awaited when its turn comes. Until then a rejection must not count as
    // unhandled.
    result.catch(() => {});
    started.push(result);
    if (started.length >= count) yield started.shift() as Promise<Out>;
  }
  // Not `yield*`: in WebKit it never settles when it reaches a promise that was rejected.
  for (const result of started) yield result;
}
