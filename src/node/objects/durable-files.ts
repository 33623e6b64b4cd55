import { spawn } from "node:child_process";
import { renameSync, writeFileSync } from "node:fs";
import { mkdir, open, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { systemErrorCode, writeError } from "../file-error.ts";
import { inParallel, inTurns } from "../parallel.ts";

/** Files written so that a crash leaves each one whole or absent. */

export interface NewFile {
  /** Relative to the root. */
  readonly path: string;
  readonly bytes: Uint8Array;
}

/** With more files than this, one `sync -f` of the file system is faster than an `fsync` of each. */
const FEW = 16;

/**
 * Writes the files of all groups under `root`, in the place of what was there. After a crash, a file of one group is only there if all
 * files of the groups before it are. Resolves when all of them survive a crash.
 *
 * @param temporary an existing directory on the same file system, for files on their way
 * @throws StoreError `quota` when the disk is full, `denied`, `unavailable`
 */
export async function writeFilesDurably(root: string, temporary: string, groups: readonly (readonly NewFile[])[]): Promise<void> {
  const moves = groups.map((group) =>
    group.map((file) => ({ file, from: join(temporary, temporaryName()), to: join(root, file.path) })),
  );
  // One without content is whole as soon as it is there.
  const all = moves.flat().filter(({ file }) => file.bytes.length > 0);
  const few = all.length <= FEW;
  try {
    if (few) await inParallel(all, ({ file, from }) => writeSynced(from, file.bytes));
    else {
      await inTurns(all, ({ file, from }) => writeFileSync(from, file.bytes, { flag: "wx", mode: 0o644 }));
      await syncAll(
        root,
        all.map(({ from }) => from),
      );
    }
    for (const group of moves) {
      if (group.length === 0) continue;
      const directories = [...new Set(group.map(({ to }) => dirname(to)))];
      await inParallel(directories, (directory) => mkdir(directory, { recursive: true }));
      await inTurns(group, ({ file, from, to }) => (file.bytes.length > 0 ? renameSync(from, to) : writeFileSync(to, "")));
      await syncAll(root, withParents(directories, root));
    }
  } catch (error) {
    await inParallel(all, ({ from }) => rm(from, { force: true })).catch(() => {});
    throw writeError(error, `can't write under ${root}`);
  }
}

let temporaryNames = 0;

function temporaryName(): string {
  return `${process.pid}-${Date.now()}-${temporaryNames++}`;
}

async function writeSynced(path: string, bytes: Uint8Array): Promise<void> {
  const handle = await open(path, "wx", 0o644);
  try {
    await handle.writeFile(bytes);
    await handle.datasync();
  } finally {
    await handle.close();
  }
}

/** New directories are entries of others, which have to be on the disk as well. */
function withParents(directories: readonly string[], root: string): string[] {
  const all = new Set(directories);
  for (const directory of directories) {
    for (let parent = dirname(directory); parent.length >= root.length && !all.has(parent); parent = dirname(parent))
      all.add(parent);
  }
  return [...all];
}

/** Brings files or directories that are on the file system of `root` to the disk. */
async function syncAll(root: string, paths: readonly string[]): Promise<void> {
  if (paths.length > FEW && (await syncFileSystem(root))) return;
  await inParallel(paths, async (path) => {
    const handle = await open(path, "r");
    try {
      await handle.sync();
    } catch (error) {
      // Some file systems have nothing to sync in a directory, and say so.
      if (systemErrorCode(error) !== "EINVAL") throw error;
    } finally {
      await handle.close();
    }
  });
}

let canSyncFileSystem = true;

/** `syncfs(2)`, by the program of GNU coreutils, since Node has no call for it. Whether it was done. */
async function syncFileSystem(path: string): Promise<boolean> {
  if (!canSyncFileSystem) return false;
  canSyncFileSystem = await new Promise<boolean>((resolve) => {
    const child = spawn("sync", ["-f", path], { stdio: "ignore" });
    child.on("error", () => resolve(false));
    child.on("close", (status) => resolve(status === 0));
  });
  return canSyncFileSystem;
}
