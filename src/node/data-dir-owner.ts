import { readFileSync } from "node:fs";
import { StoreError } from "../error.ts";
import type { LmdbEnvironment } from "./lmdb.ts";

const KEY = Buffer.from("owner");

interface Owner {
  readonly pid: number;
  /**
   * Identifies the start of the process, because process numbers are reused. Empty if the system
   * doesn't tell it.
   */
  readonly started: string;
}

/**
 * Makes this process the owner of a data directory. It remains the owner until the returned
 * function is called or the process ends.
 *
 * @throws StoreError `conflict` if the data directory has an owner: another process, or this one
 */
export function ownDataDir(environment: LmdbEnvironment, dataDir: string): () => void {
  const database = environment.database("owner");
  const self: Owner = { pid: process.pid, started: startOf(process.pid) };
  environment.exclusively(() => {
    const owner = parseOwner(database.getBinary(KEY));
    if (owner && isRunning(owner)) {
      throw new StoreError("conflict", `the data directory ${dataDir} is in use by process ${owner.pid}`);
    }
    database.putSync(KEY, Buffer.from(JSON.stringify(self)));
  });
  return () => environment.exclusively(() => database.removeSync(KEY));
}

function parseOwner(bytes: Buffer | undefined): Owner | undefined {
  if (!bytes) return undefined;
  try {
    const owner: unknown = JSON.parse(bytes.toString());
    if (typeof owner !== "object" || owner === null || !("pid" in owner) || !("started" in owner)) return undefined;
    const { pid, started } = owner;
    if (typeof pid !== "number" || !Number.isSafeInteger(pid) || pid <= 0 || typeof started !== "string") return undefined;
    return { pid, started };
  } catch {
    return undefined;
  }
}

function isRunning({ pid, started }: Owner): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM means that the process exists but may not be signalled.
    if (!(error instanceof Error && "code" in error && error.code === "EPERM")) return false;
  }
  return startOf(pid) === started;
}

/**
 * Returns the boot id and the start time of the process within that boot, on Linux. Elsewhere
 * returns an empty string.
 */
function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The program's name is in parentheses and may contain anything. The start time is the 20th
    // field after it.
    const time = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
    return `${readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim()} ${time}`;
  } catch {
    return "";
  }
}
