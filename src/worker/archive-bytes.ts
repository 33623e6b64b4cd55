import { type ReadBuffers, readByteStream } from "../byte-stream.ts";
import { quote } from "../bytes.ts";
import type { OperationOptions } from "../progress.ts";
import { iterate } from "../stream.ts";
import type { ArchiveSource } from "../thread/import-api.ts";
import { type OutsideSource, outsideBytes } from "./outside-bytes.ts";

/**
 * Yields the bytes of an archive or a file that the page passed, with progress `reading` in bytes.
 * Neither reads nor locks `stream` before the caller asks for the first byte.
 *
 * @param stream the bytes of `source`
 * @param name name that `source` is imported under, for error messages
 * @throws StoreError `unavailable` as `outsideBytes` does
 */
export async function* archiveBytes(
  stream: ReadableStream<Uint8Array>,
  source: ArchiveSource,
  name: unknown,
  buffers: ReadBuffers,
  { signal, onProgress }: OperationOptions,
): AsyncGenerator<Uint8Array> {
  const outside = outsideSource(source, name);
  const total = outside.blob?.size;
  let loaded = 0;
  const pieces = readByteStream(stream, buffers, signal) ?? iterate(stream, signal);
  for await (const bytes of outsideBytes<Uint8Array>(pieces, outside, signal)) {
    loaded += bytes.length;
    onProgress?.({ phase: "reading", unit: "bytes", loaded, total });
    yield bytes;
  }
}

function outsideSource(source: ArchiveSource, name: unknown): OutsideSource {
  const blob = "blob" in source ? source.blob : undefined;
  if (blob instanceof File && blob.name !== "") return { label: `file ${quote(blob.name)}`, blob };
  const kind = blob ? "Blob" : "stream";
  return { label: typeof name === "string" ? `the ${kind} for ${quote(name)}` : `the ${kind}`, blob };
}
