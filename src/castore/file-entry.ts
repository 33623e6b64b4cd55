import type { OperationOptions } from "../progress.ts";
import type { BlobUploader } from "./blob-uploader.ts";
import type { IngestionEntry } from "./ingest.ts";

/** A root that is a file of these bytes, which are pushed into `uploader` as they come. Progress: `reading`, in bytes. */
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
    onProgress?.({ phase: "reading", loaded });
  }
  yield { kind: "file", path: [], executable: false, contents: uploader.end() };
}
