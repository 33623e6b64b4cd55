import { constants, type Dirent, type Stats } from "node:fs";
import { type FileHandle, lstat, open, readdir, readlink } from "node:fs/promises";
import { compareBytes, quoteBytes } from "../bytes.ts";
import type { BlobUploader } from "../castore/blob-uploader.ts";
import { type EntryPath, type IngestionEntry, MAX_TREE_DEPTH } from "../castore/ingest.ts";
import { StoreError } from "../error.ts";
import { fileError } from "./file-error.ts";

/**
 * Maximum size of files that are read ahead as a whole, in bytes. Of longer files, only the
 * beginning is read ahead.
 */
const READ_AHEAD_SIZE = 128 * 1024;
/**
 * Maximum number of entries (files, symlinks, directories) that are read ahead. Together they take
 * some 4 MiB.
 */
const READ_AHEAD_COUNT = 32;
/** Size of the pieces in which long files are read, in bytes. */
const PIECE_SIZE = 1024 * 1024;

type Kind = "directory" | "symlink" | "file";
type Step =
  | { readonly kind: "directory"; readonly path: EntryPath }
  | { readonly kind: "symlink"; readonly path: EntryPath; readonly target: Promise<Buffer> }
  | { readonly kind: "file"; readonly path: EntryPath; readonly opened: Promise<OpenedFile> };

interface OpenedFile {
  readonly executable: boolean;
  readonly start: Uint8Array;
  /** The open file, if there is more after `start`. */
  readonly rest: FileHandle | undefined;
}

/**
 * Yields the entries of the file, symlink or directory at `path`, as `nix-store --add` sees them.
 * Names are bytes, symlinks are not followed, and a file is executable if its owner may execute it.
 * Sends the files' contents to `uploader`. The tree should not change during the walk.
 *
 * @throws StoreError `invalid` for devices, sockets and pipes, and for trees that are too deep;
 *   `not-found`, `denied` or `unavailable` if a file can't be read
 */
export async function* fsEntries(
  path: string,
  uploader: BlobUploader,
  options: { signal?: AbortSignal | undefined } = {},
): AsyncGenerator<IngestionEntry> {
  const ahead: Step[] = [];
  const steps = walk(Buffer.from(path), options.signal);
  try {
    for (;;) {
      while (ahead.length < READ_AHEAD_COUNT) {
        const next = await steps.next();
        if (next.done) break;
        ahead.push(next.value);
      }
      // Check before the step is removed from `ahead`: the cleanup only closes the files in
      // `ahead`.
      options.signal?.throwIfAborted();
      const step = ahead.shift();
      if (!step) return;
      if (step.kind === "directory") yield step;
      else if (step.kind === "symlink") yield { kind: step.kind, path: step.path, target: new Uint8Array(await step.target) };
      else yield await upload(step.path, await step.opened, uploader, options.signal);
    }
  } finally {
    for (const step of ahead) if (step.kind === "file") step.opened.then(({ rest }) => rest?.close()).catch(() => {});
  }
}

async function upload(
  path: EntryPath,
  file: OpenedFile,
  uploader: BlobUploader,
  signal: AbortSignal | undefined,
): Promise<IngestionEntry> {
  try {
    uploader.begin();
    uploader.write(file.start);
    await uploader.drain();
    if (file.rest) {
      const buffer = new Uint8Array(PIECE_SIZE);
      for (;;) {
        signal?.throwIfAborted();
        const { bytesRead } = await file.rest.read(buffer, 0, buffer.length, null).catch((error: unknown) => {
          throw fileError(error, `can't read ${quoteBytes(path.at(-1) ?? new Uint8Array())}`);
        });
        if (bytesRead === 0) break;
        uploader.write(buffer.subarray(0, bytesRead));
        await uploader.drain();
      }
    }
    return { kind: "file", path, executable: file.executable, contents: uploader.end() };
  } finally {
    await file.rest?.close();
  }
}

interface Level {
  readonly location: Buffer;
  readonly path: EntryPath;
  readonly entries: readonly Dirent<Buffer>[];
  next: number;
}

/**
 * Yields the contents of each directory before the directory, sorted by name. Doesn't recurse, so
 * the depth of a tree can't overflow the call stack.
 */
async function* walk(root: Buffer, signal: AbortSignal | undefined): AsyncGenerator<Step> {
  const kind = kindOf(await lstatFile(root), root);
  if (kind !== "directory") {
    yield leaf(kind, root, []);
    return;
  }
  const levels: Level[] = [{ location: root, path: [], entries: await list(root), next: 0 }];
  for (let level = levels.at(-1); level; level = levels.at(-1)) {
    signal?.throwIfAborted();
    const entry = level.entries[level.next++];
    if (!entry) {
      levels.pop();
      yield { kind: "directory", path: level.path };
      continue;
    }
    const location = Buffer.concat([level.location, Buffer.from("/"), entry.name]);
    const path = [...level.path, new Uint8Array(entry.name)];
    const kind = kindOf(entry, location);
    if (kind !== "directory") {
      yield leaf(kind, location, path);
      continue;
    }
    if (path.length > MAX_TREE_DEPTH) {
      throw new StoreError("invalid", `${quoteBytes(location)} is nested deeper than ${MAX_TREE_DEPTH} directories`);
    }
    levels.push({ location, path, entries: await list(location), next: 0 });
  }
}

function leaf(kind: "symlink" | "file", location: Buffer, path: EntryPath): Step {
  if (kind === "symlink") return { kind, path, target: handled(readTarget(location)) };
  return { kind, path, opened: handled(openFile(location)) };
}

/** Marks the promise as handled: a read ahead may fail before anything awaits it. */
function handled<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}

function kindOf(entry: Dirent<Buffer> | Stats, location: Buffer): Kind {
  if (entry.isFile()) return "file";
  if (entry.isDirectory()) return "directory";
  if (entry.isSymbolicLink()) return "symlink";
  const what = entry.isSocket() ? "socket" : entry.isFIFO() ? "pipe" : "device";
  throw new StoreError("invalid", `${quoteBytes(location)} is a ${what}, which a store can't hold`);
}

async function lstatFile(location: Buffer): Promise<Stats> {
  return lstat(location).catch((error: unknown) => {
    throw fileError(error, `can't read ${quoteBytes(location)}`);
  });
}

async function list(location: Buffer): Promise<Dirent<Buffer>[]> {
  try {
    const entries = await readdir(location, { withFileTypes: true, encoding: "buffer" });
    return entries.sort((a, b) => compareBytes(a.name, b.name));
  } catch (error) {
    throw fileError(error, `can't list ${quoteBytes(location)}`);
  }
}

async function readTarget(location: Buffer): Promise<Buffer> {
  return readlink(location, { encoding: "buffer" }).catch((error: unknown) => {
    throw fileError(error, `can't read the symlink ${quoteBytes(location)}`);
  });
}

async function openFile(location: Buffer): Promise<OpenedFile> {
  let handle: FileHandle | undefined;
  try {
    // Another kind of file may have replaced this one since it was listed. Don't follow a symlink,
    // and don't wait for a pipe.
    handle = await open(location, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    const stats = await handle.stat();
    if (kindOf(stats, location) !== "file") throw new StoreError("invalid", `${quoteBytes(location)} changed while it was read`);
    const buffer = new Uint8Array(Math.min(stats.size, READ_AHEAD_SIZE) + 1);
    let length = 0;
    let ended = false;
    while (!ended && length < buffer.length) {
      const { bytesRead } = await handle.read(buffer, length, buffer.length - length, null);
      length += bytesRead;
      ended = bytesRead === 0;
    }
    if (ended) await handle.close();
    return {
      executable: (stats.mode & constants.S_IXUSR) !== 0,
      start: buffer.subarray(0, length),
      rest: ended ? undefined : handle,
    };
  } catch (error) {
    await handle?.close().catch(() => {});
    throw fileError(error, `can't read ${quoteBytes(location)}`);
  }
}
