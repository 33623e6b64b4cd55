import { concatBytes, equalBytes } from "../bytes.ts";
import { type EntryPath, showPath } from "../castore/ingest.ts";
import { iterate } from "../stream.ts";
import { type OutsideSource, outsideBytes } from "./outside-bytes.ts";

/** A file of a picked folder, as it was when it was picked or, of a handle, looked up. */
export interface PickedFile {
  readonly path: EntryPath;
  readonly file: File;
}

/** Bytes of a separator. Content that has them at just that place by chance is one of 2^128. */
const SEPARATOR = 16;

/**
 * Reads a file of any length. For short ones `readTogether` is faster.
 *
 * @throws StoreError `unavailable`, which names the file, if it can't be read, or has changed since it was picked
 */
export async function* readPicked(picked: PickedFile, signal?: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
  yield* outsideBytes(iterate(picked.file.stream(), signal), sourceOf(picked), signal);
}

/**
 * The contents of short files, in their order; some may be views of one buffer. Files are read as one Blob: a browser takes longer to
 * begin to read than to read, and reads file after file within a Blob for a third of the time.
 *
 * @throws StoreError `unavailable`, as `readPicked` does
 */
export async function readTogether(files: readonly PickedFile[]): Promise<Uint8Array[]> {
  // Chromium takes a file that it doesn't find for an empty one, which a Blob leaves out; a stream of the file itself fails.
  const filled = files.filter(({ file }) => file.size > 0);
  const joined = await readJoined(filled);
  if (!joined) return Promise.all(files.map(readAlone));
  let next = 0;
  return Promise.all(files.map((picked) => (picked.file.size > 0 ? (joined[next++] as Uint8Array) : readAlone(picked))));
}

/**
 * `undefined` if one of them can't be read, or has another length than it had. Where each file ends stands a separator: Firefox reads
 * what there is of a file now, and WebKit fills up with zeros at the end of the Blob.
 */
async function readJoined(files: readonly PickedFile[]): Promise<Uint8Array[] | undefined> {
  const separator = crypto.getRandomValues(new Uint8Array(SEPARATOR));
  let bytes: Uint8Array;
  try {
    bytes = new Uint8Array(await new Blob(files.flatMap(({ file }) => [file, separator])).arrayBuffer());
  } catch {
    return undefined;
  }
  const contents: Uint8Array[] = [];
  let at = 0;
  for (const { file } of files) {
    const end = at + file.size;
    if (!equalBytes(bytes.subarray(end, end + SEPARATOR), separator)) return undefined;
    contents.push(bytes.subarray(at, end));
    at = end + SEPARATOR;
  }
  return at === bytes.length ? contents : undefined;
}

async function readAlone(picked: PickedFile): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for await (const bytes of readPicked(picked)) pieces.push(bytes);
  return concatBytes(pieces);
}

function sourceOf({ path, file }: PickedFile): OutsideSource {
  return { label: `file ${showPath(path)}`, blob: file };
}
