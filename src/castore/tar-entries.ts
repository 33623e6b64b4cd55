import { equalBytes, quoteBytes } from "../bytes.ts";
import { StoreError } from "../error.ts";
import type { BlobUploader, PendingBlob } from "./blob-uploader.ts";
import { type EntryPath, type IngestionEntry, MAX_TREE_DEPTH } from "./ingest.ts";
import { checkName, checkSymlinkTarget } from "./node.ts";
import { type TarEntry, TarParser } from "./tar-parser.ts";

const OWNER_EXECUTABLE = 0o100;
/** Entries that are yielded at a time. */
const TOGETHER = 1000;

/**
 * The entries of a tar archive, whose contents are pushed into `uploader` as they come. The root is the archive's one top-level
 * entry. A tar has no order, so the tree (not the contents) is held in memory until its end.
 *
 * A leading `./` is stripped, hard links become files, a directory named again merges, anything else named again replaces.
 *
 * @throws StoreError `invalid` for names that are absolute or have `..`, for two top-level entries, devices, FIFOs, sparse files
 */
export async function* tarEntries(
  source: AsyncIterable<Uint8Array>,
  uploader: BlobUploader,
  options: { signal?: AbortSignal | undefined } = {},
): AsyncGenerator<IngestionEntry[]> {
  const tree = new TarTree();
  let current: TarEntry | undefined;
  const parser = new TarParser({
    entry(entry) {
      current = entry;
      if (hasContents(entry)) uploader.begin();
    },
    content(bytes) {
      uploader.write(bytes);
    },
    end() {
      if (current) tree.add(current, hasContents(current) ? uploader.end() : undefined);
    },
  });
  for await (const bytes of source) {
    options.signal?.throwIfAborted();
    parser.push(bytes);
    await uploader.drain();
  }
  parser.end();
  let entries: IngestionEntry[] = [];
  for (const entry of tree.entries()) {
    entries.push(entry);
    if (entries.length < TOGETHER) continue;
    yield entries;
    entries = [];
  }
  yield entries;
}

function hasContents(entry: TarEntry): boolean {
  return entry.type === "file" || (entry.type === "hard link" && entry.size > 0);
}

type TarNode =
  | { kind: "directory"; name: Uint8Array; children: Map<string, TarNode> }
  | { kind: "file"; name: Uint8Array; executable: boolean; contents: PendingBlob }
  | { kind: "symlink"; name: Uint8Array; target: Uint8Array };

type TarDirectory = Extract<TarNode, { kind: "directory" }>;

class TarTree {
  /** Holds the top-level entries; is not itself a part of the archive. */
  #top: TarDirectory = { kind: "directory", name: new Uint8Array(0), children: new Map() };

  add(entry: TarEntry, contents: PendingBlob | undefined): void {
    const path = splitPath(entry.path);
    const name = path.at(-1);
    if (!name) {
      // `./` itself: the directory that the archive was made in.
      if (entry.type === "directory") return;
      throw new StoreError("invalid", `tar entry ${quoteBytes(entry.path)} has no name`);
    }
    const parent = this.#parent(path, entry.path);
    const existing = parent.children.get(key(name));
    if (entry.type === "directory") {
      if (existing?.kind !== "directory") parent.children.set(key(name), { kind: "directory", name, children: new Map() });
      return;
    }
    if (existing?.kind === "directory")
      throw new StoreError("invalid", `tar entry ${quoteBytes(entry.path)} was a directory before`);
    // Taken out first, so that the place in the order is the last one's, and a hard link to itself finds nothing.
    parent.children.delete(key(name));
    parent.children.set(key(name), this.#leaf(entry, name, contents));
  }

  #leaf(entry: TarEntry, name: Uint8Array, contents: PendingBlob | undefined): TarNode {
    if (entry.type === "symlink") {
      checkSymlinkTarget(entry.linkPath);
      return { kind: "symlink", name, target: entry.linkPath };
    }
    if (contents) return { kind: "file", name, executable: (entry.mode & OWNER_EXECUTABLE) !== 0, contents };
    const target = this.#find(splitPath(entry.linkPath));
    if (!target || target.kind === "directory") {
      throw new StoreError(
        "invalid",
        `tar entry ${quoteBytes(entry.path)} is a hard link to ${quoteBytes(entry.linkPath)}, which is no file before it`,
      );
    }
    return { ...target, name };
  }

  #parent(path: EntryPath, shown: Uint8Array): TarDirectory {
    let directory = this.#top;
    for (const name of path.slice(0, -1)) {
      let child = directory.children.get(key(name));
      if (!child) {
        child = { kind: "directory", name, children: new Map() };
        directory.children.set(key(name), child);
      }
      if (child.kind !== "directory")
        throw new StoreError("invalid", `tar entry ${quoteBytes(shown)} is beneath what is not a directory`);
      directory = child;
    }
    return directory;
  }

  #find(path: EntryPath): TarNode | undefined {
    let node: TarNode | undefined = this.#top;
    for (const name of path) node = node?.kind === "directory" ? node.children.get(key(name)) : undefined;
    return node;
  }

  *entries(): Generator<IngestionEntry> {
    const [root, second] = this.#top.children.values();
    if (!root) throw new StoreError("invalid", "tar archive has no entries");
    if (second)
      throw new StoreError(
        "invalid",
        `tar archive has more than one top-level entry: ${quoteBytes(root.name)} and ${quoteBytes(second.name)}`,
      );
    if (root.kind !== "directory") {
      yield leafEntry(root, []);
      return;
    }
    // Depth first with a stack of its own: an archive must not decide how deep our calls nest.
    const stack: { path: EntryPath; children: Iterator<TarNode> }[] = [{ path: [], children: root.children.values() }];
    for (let frame = stack.at(-1); frame; frame = stack.at(-1)) {
      const next = frame.children.next();
      if (next.done) {
        stack.pop();
        yield { kind: "directory", path: frame.path };
        continue;
      }
      const child = next.value;
      const path = [...frame.path, child.name];
      if (child.kind === "directory") stack.push({ path, children: child.children.values() });
      else yield leafEntry(child, path);
    }
  }
}

function leafEntry(node: Exclude<TarNode, TarDirectory>, path: EntryPath): IngestionEntry {
  if (node.kind === "symlink") return { kind: "symlink", path, target: node.target };
  return { kind: "file", path, executable: node.executable, contents: node.contents };
}

/** One character a byte, so that no two names share a key. */
function key(name: Uint8Array): string {
  return String.fromCharCode(...name);
}

const DOT = new Uint8Array([0x2e]);

function splitPath(path: Uint8Array): EntryPath {
  if (path[0] === 0x2f) throw new StoreError("invalid", `tar entry ${quoteBytes(path)} has an absolute path`);
  const names: Uint8Array[] = [];
  for (let start = 0; start <= path.length; ) {
    const slash = path.indexOf(0x2f, start);
    const end = slash === -1 ? path.length : slash;
    const name = path.subarray(start, end);
    start = end + 1;
    if (name.length === 0 || equalBytes(name, DOT)) continue;
    checkName(name);
    names.push(name);
  }
  if (names.length > MAX_TREE_DEPTH)
    throw new StoreError("invalid", `tar entry ${quoteBytes(path)} is more than ${MAX_TREE_DEPTH} levels deep`);
  return names;
}
