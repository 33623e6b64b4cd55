import type { OperationOptions } from "../progress.ts";
import { iterate } from "../stream.ts";
import { canPickSaveFile, pickSaveFile } from "./file-picker.ts";

/**
 * Maximum bytes of a download that is collected before it is offered. Longer downloads go to the
 * disk as they arrive.
 */
const COLLECTED = 32 * 1024 * 1024;

const PART = 1024 * 1024;

const SPOOL = "tvix-store-download";

/**
 * Saves a stream as a file for the reader. A small one is an ordinary download. A large one is
 * written directly to a file that the reader picks, so that memory stays bounded. A browser without
 * such a picker gets a temporary file of this site, or if it can't write one either, a Blob.
 *
 * Call it in the handler of a click, because a picker may open.
 *
 * @param open called once the target is known
 * @returns whether the file was saved; false if the reader closed the picker
 */
export async function saveStream(
  name: string,
  size: number,
  open: () => ReadableStream<Uint8Array> | Promise<ReadableStream<Uint8Array>>,
  options: OperationOptions = {},
): Promise<boolean> {
  if (size > COLLECTED && canPickSaveFile()) {
    const handle = await pickSaveFile(name);
    if (!handle) return false;
    await pipe(await open(), await handle.createWritable(), size, options);
    return true;
  }
  const spool = size > COLLECTED ? await openSpool() : undefined;
  if (spool) {
    await pipe(await open(), await spool.createWritable(), size, options);
    offer(await spool.getFile(), name);
  } else {
    const parts: Blob[] = [];
    let pending: Uint8Array<ArrayBuffer>[] = [];
    let pendingSize = 0;
    const flush = () => {
      parts.push(new Blob(pending));
      pending = [];
      pendingSize = 0;
    };
    // A Blob of Blobs: each part can leave the page's memory as soon as it is made.
    const collect = new WritableStream<Uint8Array<ArrayBuffer>>({
      write(chunk) {
        pending.push(chunk);
        pendingSize += chunk.length;
        if (pendingSize >= PART) flush();
      },
      close: flush,
    });
    await pipe(await open(), collect, size, options);
    offer(new Blob(parts, { type: "application/octet-stream" }), name);
  }
  return true;
}

async function pipe(
  source: ReadableStream<Uint8Array>,
  sink: WritableStream<Uint8Array<ArrayBuffer>>,
  total: number,
  { signal, onProgress }: OperationOptions,
): Promise<void> {
  const writer = sink.getWriter();
  let loaded = 0;
  try {
    // Not `pipeTo`: in WebKit, its signal has no effect while the source gives nothing.
    for await (const chunk of iterate(source, signal)) {
      loaded += chunk.length;
      onProgress?.({ phase: "saving", unit: "bytes", loaded, total });
      await writer.write(chunk as Uint8Array<ArrayBuffer>);
    }
    await writer.close();
  } catch (error) {
    // A sink that failed by itself can't be aborted any more.
    await writer.abort(error).catch(() => {});
    throw error;
  }
}

/**
 * Opens a temporary file. Overwrites the previous one, because a page can't tell when a download
 * has been read completely.
 *
 * @returns undefined if this browser can't write such a file
 */
async function openSpool(): Promise<FileSystemFileHandle | undefined> {
  try {
    const root = await navigator.storage.getDirectory();
    const handle = await root.getFileHandle(SPOOL, { create: true });
    return typeof handle.createWritable === "function" ? handle : undefined;
  } catch {
    return undefined;
  }
}

function offer(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  // The download starts after this task. Revoking the address at once would break it.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
