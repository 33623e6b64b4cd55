import type { OperationOptions } from "../progress.ts";
import type { BlobUploader } from "./blob-uploader.ts";
import type { IngestionEntry } from "./ingest.ts";

/**
 * Yields one entry: a file at the root of the tree. Pushes its bytes into `uploader` as they come.
 * Reports progress as `reading`, in bytes.
 */
export async function* fileEntry(
  source: AsyncIterable<Uint8Array>,
  uploader: BlobUploader,
  { signal, onProgress }: OperationOptions = {},
): AsyncGenerator<IngestionEntry> {
  let loaded = 0;
  uploader.begin();
  for await (const bytes of source) {
    signal?.throwIfAborted();
    uploader.write(bytes);
    await uploader.drain();
    loaded += bytes.length;
    onProgress?.({ phase: "reading", unit: "bytes", loaded });
  }
  yield { kind: "file", path: [], executable: false, contents: uploader.end() };
}
