import { quote, utf8 } from "../bytes.ts";
import { type EntryPath, MAX_TREE_DEPTH, showPath } from "../castore/ingest.ts";
import { checkName } from "../castore/node.ts";
import { isStoreError, StoreError } from "../error.ts";
import type { FolderSource } from "../thread/import-api.ts";

export type FolderDirectory = { readonly kind: "directory"; readonly path: EntryPath };
/** An item of a picked folder. Browsers give names as text, which becomes UTF-8. */
export type FolderItem =
  | FolderDirectory
  | {
      readonly kind: "file";
      readonly path: EntryPath;
      /** Looks the file up. The result stands for the file in its state at this moment. */
      readonly open: () => Promise<File>;
    };

/**
 * Lists everything in a picked folder, depth first: a directory comes after the items in it, the
 * root last.
 *
 * @throws StoreError `invalid` if a name can't be that of an entry, a path is there twice, or the
 *   tree has more than `MAX_TREE_DEPTH` levels; `unavailable` if a directory can't be listed
 */
export function folderItems(source: FolderSource): AsyncIterable<FolderItem> | Iterable<FolderItem> {
  return "handle" in source ? handleItems(source.handle) : listItems(source.files);
}

async function* handleItems(root: FileSystemDirectoryHandle): AsyncGenerator<FolderItem> {
  const stack = [{ path: [] as EntryPath, entries: root.entries() }];
  for (let frame = stack.at(-1); frame; frame = stack.at(-1)) {
    const next = await nextEntry(frame);
    if (next.done) {
      stack.pop();
      yield { kind: "directory", path: frame.path };
      continue;
    }
    const [name, handle] = next.value;
    const path = [...frame.path, utf8(name)];
    if (isDirectory(handle)) {
      if (path.length > MAX_TREE_DEPTH) throw tooDeep(path);
      stack.push({ path, entries: handle.entries() });
    } else if (isFile(handle)) {
      yield { kind: "file", path, open: () => handle.getFile() };
    }
  }
}

type HandleEntries = ReturnType<FileSystemDirectoryHandle["entries"]>;

async function nextEntry({ path, entries }: { path: EntryPath; entries: HandleEntries }): ReturnType<HandleEntries["next"]> {
  try {
    return await entries.next();
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new StoreError(
      "unavailable",
      `directory ${showPath(path)} of the folder can't be listed: ${why} Pick the folder again.`,
      {
        cause,
      },
    );
  }
}

function isDirectory(handle: FileSystemHandle): handle is FileSystemDirectoryHandle {
  return handle.kind === "directory";
}

function isFile(handle: FileSystemHandle): handle is FileSystemFileHandle {
  return handle.kind === "file";
}

type Tree = Map<string, Tree | File>;

function* listItems(files: readonly { path: string; file: File }[]): Generator<FolderItem> {
  const stack: { path: EntryPath; entries: Iterator<[string, Tree | File]> }[] = [{ path: [], entries: treeOf(files).entries() }];
  for (let frame = stack.at(-1); frame; frame = stack.at(-1)) {
    const next = frame.entries.next();
    if (next.done) {
      stack.pop();
      yield { kind: "directory", path: frame.path };
      continue;
    }
    const [name, child] = next.value;
    const path = [...frame.path, utf8(name)];
    if (child instanceof File) yield { kind: "file", path, open: async () => child };
    else stack.push({ path, entries: child.entries() });
  }
}

function treeOf(files: readonly { path: string; file: File }[]): Tree {
  const root: Tree = new Map();
  for (const { path, file } of files) {
    const names = path.split("/");
    if (names.length > MAX_TREE_DEPTH) throw tooDeep(names.map(utf8));
    let directory = root;
    for (const name of names.slice(0, -1)) {
      const child = directory.get(name) ?? new Map<string, Tree | File>();
      if (child instanceof File) throw new StoreError("invalid", `file ${quote(path)} is inside another file of the same list`);
      if (child.size === 0) checkNameIn(path, name);
      directory.set(name, child);
      directory = child;
    }
    const name = names.at(-1) ?? "";
    checkNameIn(path, name);
    if (directory.has(name)) throw new StoreError("invalid", `${quote(path)} is in the list of files twice`);
    directory.set(name, file);
  }
  return root;
}

function checkNameIn(path: string, name: string): void {
  try {
    checkName(utf8(name));
  } catch (cause) {
    if (!isStoreError(cause)) throw cause;
    throw new StoreError("invalid", `file ${quote(path)} can't be imported: ${cause.message}`, { cause });
  }
}

function tooDeep(path: EntryPath): StoreError {
  const start = showPath(path.slice(0, 8));
  return new StoreError("invalid", `the folder is more than ${MAX_TREE_DEPTH} directories deep, beneath ${start}`);
}
