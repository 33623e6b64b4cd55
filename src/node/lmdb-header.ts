import { open } from "node:fs/promises";
import { StoreError } from "../error.ts";
import { systemErrorCode } from "./file-error.ts";

/** Size of the header of a page, in bytes. The first page's data begins after it. */
const PAGE_HEADER = 24;
/** First two numbers of that data: the mark of LMDB's files, and the version of their format. */
const MAGIC = 0xbeefc0de;
const VERSION = 2;
/** Two pages hold the roots of the database. A page has at least this many bytes. */
const MIN_PAGE = 4096;

/**
 * Checks that a file is an LMDB database of the version that this program reads. LMDB itself ends
 * the process when it opens another file. A missing or an empty file passes: LMDB makes a new
 * database. So does a directory: LMDB reports an error.
 *
 * @throws StoreError `corrupt` if the file is something else, or too short; system errors if it
 *   can't be read
 */
export async function checkLmdbHeader(path: string): Promise<void> {
  const file = await open(path, "r").catch((error: unknown) => {
    if (systemErrorCode(error) === "ENOENT") return undefined;
    throw error;
  });
  if (!file) return;
  try {
    const stats = await file.stat();
    if (!stats.isFile() || stats.size === 0) return;
    // The numbers have the byte order of the machine.
    const numbers = new Uint32Array(2);
    const bytes = new Uint8Array(numbers.buffer);
    await file.read(bytes, 0, bytes.length, PAGE_HEADER);
    if (numbers[0] !== MAGIC || numbers[1] !== VERSION || stats.size < 2 * MIN_PAGE)
      throw new StoreError("corrupt", `${path} is not a database of this program, or is cut short: move it away or restore it`);
  } finally {
    await file.close();
  }
}
