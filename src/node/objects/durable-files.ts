import { spawn } from "node:child_process";
import { renameSync, writeFileSync } from "node:fs";
import { link, mkdir, open, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { systemErrorCode, writeError } from "../file-error.ts";
import { inParallel, inTurns } from "../parallel.ts";

/** Writes files so that a crash leaves each file either whole or absent. */

export interface NewFile {
  /** Path relative to the root. */
  readonly path: string;
  readonly bytes: Uint8Array;
}

/**
 * Number of files up to which each file gets its own `fsync`. For more files, one `sync -f` of the
 * file system is faster.
 */
const FEW = 16;

/**
 * Writes the files of all groups under `root`, and replaces existing files. After a crash, a file
 * of a group is only present if all files of the earlier groups are. Resolves when all files
 * survive a crash.
 *
 * @param temporary an existing directory on the same file system, for files that are being written
 * @throws StoreError `quota` if the disk is full; `denied` or `unavailable` if a file can't be
 *   written
 */
export async function writeFilesDurably(root: string, temporary: string, groups: readonly (readonly NewFile[])[]): Promise<void> {
  const moves = groups.map((group) =>
    group.map((file) => ({ file, from: join(temporary, temporaryName()), to: join(root, file.path) })),
  );
  // An empty file needs no temporary file: it is whole as soon as it exists.
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
    throw writeError(error, "can't write objects");
  }
}

/**
 * Writes a file under `root`, unless it exists. Of several concurrent writers, in any process, one
 * writes the file. On file systems without hard links, concurrent writers may replace each other's
 * file. Resolves when the file survives a crash.
 *
 * @param temporary an existing directory on the same file system, for files that are being written
 * @returns whether the file was written
 * @throws StoreError as `writeFilesDurably`
 */
export async function createFileDurably(root: string, temporary: string, { path, bytes }: NewFile): Promise<boolean> {
  const from = join(temporary, temporaryName());
  const to = join(root, path);
  try {
    await writeSynced(from, bytes);
    const directory = dirname(to);
    await mkdir(directory, { recursive: true });
    const created = await moveIfAbsent(from, to);
    await syncAll(root, withParents([directory], root));
    return created;
  } catch (error) {
    throw writeError(error, "can't write objects");
  } finally {
    await rm(from, { force: true }).catch(() => {});
  }
}

/**
 * Moves a file, unless the target exists. Uses a hard link, because a rename would replace the
 * target.
 */
async function moveIfAbsent(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
  } catch (error) {
    const code = systemErrorCode(error);
    if (code === "EEXIST") return false;
    if (!code || !NO_HARD_LINKS.has(code)) throw error;
    await rename(from, to);
  }
  return true;
}

/** Codes with which file systems refuse hard links. */
const NO_HARD_LINKS: ReadonlySet<string> = new Set(["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK"]);

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

/**
 * Adds the parents of the directories. A new directory is an entry of its parent, which must be on
 * disk too.
 */
function withParents(directories: readonly string[], root: string): string[] {
  const all = new Set(directories);
  for (const directory of directories) {
    for (let parent = dirname(directory); parent.length >= root.length && !all.has(parent); parent = dirname(parent))
      all.add(parent);
  }
  return [...all];
}

/** Flushes files or directories to disk. They must be on the file system of `root`. */
async function syncAll(root: string, paths: readonly string[]): Promise<void> {
  if (paths.length > FEW && (await syncFileSystem(root))) return;
  await inParallel(paths, async (path) => {
    const handle = await open(path, "r");
    try {
      await handle.sync();
    } catch (error) {
      // Some file systems can't sync a directory and report EINVAL.
      if (systemErrorCode(error) !== "EINVAL") throw error;
    } finally {
      await handle.close();
    }
  });
}

let canSyncFileSystem = true;

/**
 * Calls `syncfs(2)` through the `sync` program of GNU coreutils, because Node has no such function.
 * Resolves to whether it succeeded.
 */
async function syncFileSystem(path: string): Promise<boolean> {
  if (!canSyncFileSystem) return false;
  canSyncFileSystem = await new Promise<boolean>((resolve) => {
    const child = spawn("sync", ["-f", path], { stdio: "ignore" });
    child.on("error", () => resolve(false));
    child.on("close", (status) => resolve(status === 0));
  });
  return canSyncFileSystem;
}
