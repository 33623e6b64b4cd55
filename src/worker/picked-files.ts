import { concatBytes, equalBytes } from "../bytes.ts";
import { type EntryPath, showPath } from "../castore/ingest.ts";
import { iterate } from "../stream.ts";
import { type OutsideSource, outsideBytes } from "./outside-bytes.ts";

/**
 * A file of a picked folder, in its state when it was picked. A file from a handle is in its state
 * when it was looked up.
 */
export interface PickedFile {
  readonly path: EntryPath;
  readonly file: File;
}

/**
 * Length of a separator in bytes. The probability that content has the same bytes at this place is
 * 2^-128.
 */
const SEPARATOR = 16;

/**
 * Reads a file of any length. For short files, `readTogether` is faster.
 *
 * @throws StoreError `unavailable`, which names the file, if it can't be read or has changed since
 *   it was picked
 */
export async function* readPicked(picked: PickedFile, signal?: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
  yield* outsideBytes(iterate(picked.file.stream(), signal), sourceOf(picked), signal);
}

/**
 * Reads short files, and returns their contents in the same order. Some contents may be views of
 * one buffer.
 *
 * The files are read as one Blob. Starting to read a short file takes a browser longer than reading
 * it. Within a Blob it reads one file after the other in a third of the time.
 *
 * @throws StoreError `unavailable` as `readPicked` does
 */
export async function readTogether(files: readonly PickedFile[]): Promise<Uint8Array[]> {
  // Chromium takes a file that it doesn't find for an empty one, and an empty file leaves no trace
  // in a Blob. A stream of the file itself fails, so read each empty file alone.
  const filled = files.filter(({ file }) => file.size > 0);
  const joined = await readJoined(filled);
  if (!joined) return Promise.all(files.map(readAlone));
  let next = 0;
  return Promise.all(files.map((picked) => (picked.file.size > 0 ? (joined[next++] as Uint8Array) : readAlone(picked))));
}

/**
 * Reads files as one Blob. A separator stands after each file to show where it ends: Firefox reads
 * the current content of a changed file, and WebKit fills the end of the Blob with zeros.
 *
 * @returns `undefined` if a file can't be read, or if its length has changed
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
