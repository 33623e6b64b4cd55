import { type FileHandle, open } from "node:fs/promises";
import { endianness } from "node:os";
import { StoreError } from "../error.ts";
import { systemErrorCode } from "./file-error.ts";

/** Size of the header of a page, in bytes. The first page's data begins after it. */
const PAGE_HEADER = 24;
/** First two numbers of that data: the mark of LMDB's files, and the version of their format. */
const MAGIC = 0xbeefc0de;
const VERSION = 2;
/** Two pages hold the roots of the database. A page has at least this many bytes. */
const MIN_PAGE = 4096;
/** Byte offsets within a meta page: page size, and number of the last page. */
const PAGE_SIZE = PAGE_HEADER + 24;
const LAST_PAGE = PAGE_HEADER + 120;
/**
 * Minimum length of a file, as a share of the length that its meta page states. An intact file can
 * be shorter than stated: LMDB may not have written unused pages at the end.
 */
const LEAST_SHARE = 0.75;

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
    const start = await read(file, 0);
    const isOurs = number(start, PAGE_HEADER) === MAGIC && number(start, PAGE_HEADER + 4) === VERSION;
    if (!isOurs || stats.size < 2 * MIN_PAGE || stats.size < LEAST_SHARE * (await lengthOf(file, start)))
      throw new StoreError("corrupt", `${path} is not a database of this program, or is cut short: move it away or restore it`);
  } finally {
    await file.close();
  }
}

/**
 * The length of the database in bytes, as the meta page with the lesser length states it. The newer
 * one may be from a commit that did not reach the disk. LMDB then uses the older one.
 */
async function lengthOf(file: FileHandle, first: DataView): Promise<number> {
  const pageSize = number(first, PAGE_SIZE);
  const second = await read(file, pageSize);
  const lastPages = [first, second].map((meta) => Number(meta.getBigUint64(LAST_PAGE, IS_LITTLE_ENDIAN)));
  return (Math.min(...lastPages) + 1) * pageSize;
}

async function read(file: FileHandle, position: number): Promise<DataView> {
  const bytes = new Uint8Array(LAST_PAGE + 8);
  await file.read(bytes, 0, bytes.length, position);
  return new DataView(bytes.buffer);
}

/** Whether this machine, and so the numbers in its databases, are little-endian. */
const IS_LITTLE_ENDIAN = endianness() === "LE";

function number(root: DataView, offset: number): number {
  return root.getUint32(offset, IS_LITTLE_ENDIAN);
}
