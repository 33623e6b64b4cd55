import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { tryLock } from "fs-native-extensions";
import { StoreError } from "../error.ts";
import { writeError } from "./file-error.ts";

/**
 * Name of the lock file in the data directory. The file holds the id of the process that last
 * locked it.
 */
const NAME = "lock";

/**
 * Locks a data directory for this process. The operating system releases the lock however the
 * process ends. The lock also works between containers that share the directory.
 *
 * @returns a function that releases the lock
 * @throws StoreError `conflict` if the directory is locked: by another process, or by this one;
 *   `denied`, `quota` or `unavailable` if the file can't be written
 */
export async function lockDataDir(dataDir: string): Promise<() => Promise<void>> {
  let file: FileHandle | undefined;
  try {
    file = await open(join(dataDir, NAME), "a+", 0o600);
    if (!tryLock(file.fd)) {
      const text = (await file.readFile("latin1")).trim();
      const owner = /^[0-9]{1,10}$/.test(text) ? `process ${text}` : "another process";
      throw new StoreError("conflict", `the data directory ${dataDir} is in use by ${owner}`);
    }
    await file.truncate();
    await file.write(`${process.pid}\n`);
    const locked = file;
    // Closing the file releases the lock.
    return () => locked.close();
  } catch (error) {
    await file?.close();
    throw writeError(error, `can't lock the data directory ${dataDir}`);
  }
}
