import { existsSync, readdirSync, readlinkSync } from "node:fs";

/** Whether the system tells which files this process has open. */
export const tellsOpenFiles: boolean = existsSync("/proc/self/fd");

/** Returns the number of open files of this process under `directory`. */
export function openFilesIn(directory: string): number {
  return readdirSync("/proc/self/fd").filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith(directory);
    } catch {
      return false;
    }
  }).length;
}
