import { decodeUtf8, equalBytes, quote } from "../bytes.ts";
import { StoreError } from "../error.ts";
import { NAR_DIRECTORY_SIZE, NAR_HEADER_SIZE, narEntrySize, narFileSize, narSymlinkSize } from "../nix/nar-size.ts";
import { BlobUploader, type PendingBlob } from "./blob-uploader.ts";
import { type Directory, type DirectoryEntry, type DirectorySizeRule, makeDirectory } from "./directory.ts";
import { directoryNode } from "./directory-codec.ts";
import { checkName, checkSymlinkTarget, type Node, type SymlinkNode } from "./node.ts";
import type { CastoreServices } from "./services.ts";

/** Names from the root down. The path of the root is empty. */
export type EntryPath = readonly Uint8Array[];

/**
 * A file, symlink or directory, as a source describes it. Everything beneath a directory comes
 * right before it, depth first, and the root comes last. tvix's ingestion entries use this order
 * too: a directory can be written as soon as its entry comes.
 */
export type IngestionEntry =
  | { readonly kind: "directory"; readonly path: EntryPath }
  | { readonly kind: "symlink"; readonly path: EntryPath; readonly target: Uint8Array }
  | { readonly kind: "file"; readonly path: EntryPath; readonly executable: boolean; readonly contents: PendingBlob };

/**
 * Entries of a source. A source that has many entries at a time yields them as an array: one step
 * of an asynchronous iteration costs more than parsing a small file.
 */
export type IngestionEntries = AsyncIterable<IngestionEntry | readonly IngestionEntry[]> | Iterable<IngestionEntry>;

export interface IngestOptions {
  signal?: AbortSignal | undefined;
}

/**
 * Maximum depth of a tree. A NAR has the same limit, so every imported tree can be rendered as a
 * NAR.
 */
export const MAX_TREE_DEPTH = 1024;

/** Formats a path for a message. */
export function showPath(path: EntryPath): string {
  return quote(path.length === 0 ? "/" : path.map(decodeUtf8).join("/"));
}

/** A tree that was written. */
export interface IngestedTree {
  /** The root. */
  readonly node: Node;
  /** Size of the tree as a NAR, in bytes. */
  readonly narSize: number;
}

/**
 * Writes the tree of `entries`. Every import into castore goes through this
 * function. It writes the directories; `uploader` writes the contents. On failure nothing refers to
 * what was written.
 *
 * @throws StoreError `invalid` if the entries are not those of one tree
 */
export async function ingestEntries(
  castore: CastoreServices,
  uploader: BlobUploader,
  entries: IngestionEntries,
  options: IngestOptions = {},
): Promise<IngestedTree> {
  const tree = new TreeBuilder(uploader, () => preferredRule(castore, options.signal));
  const directories = tree.directories(entries);
  const first = await directories.next();
  if (!first.done) {
    const all = async function* (): AsyncGenerator<Directory> {
      yield first.value;
      yield* directories;
    };
    await castore.directories.put(all(), { signal: options.signal });
  }
  await uploader.flush();
  return tree.finish();
}

/**
 * Calls `ingestEntries` with a new uploader, into which `source` pushes contents. On failure it
 * discards what the uploader has not stored.
 */
export async function ingest(
  castore: CastoreServices,
  source: (uploader: BlobUploader) => IngestionEntries,
  options: IngestOptions = {},
): Promise<IngestedTree> {
  options.signal?.throwIfAborted();
  const uploader = new BlobUploader(castore.blobs, { signal: options.signal });
  try {
    return await ingestEntries(castore, uploader, source(uploader), options);
  } catch (error) {
    await uploader.abort(error).catch(() => {});
    options.signal?.throwIfAborted();
    throw error;
  }
}

async function preferredRule(castore: CastoreServices, signal: AbortSignal | undefined): Promise<DirectorySizeRule> {
  const [rule] = await castore.directories.sizeRules({ signal });
  if (!rule) throw new StoreError("internal", "the directory service accepts no size rule");
  return rule;
}

/** An entry of a directory: a node, or an object that becomes a node when its digest is known. */
type PendingEntry = { name: Uint8Array } & (
  | { node: SymlinkNode }
  | { directory: PendingDirectory }
  | { contents: PendingBlob; executable: boolean }
);

interface PendingDirectory {
  readonly name: Uint8Array;
  /**
   * Entries of the directory. The entries from index `resolved.length` on wait for their digests.
   */
  readonly entries: PendingEntry[];
  /** The first entries, with their digests. */
  readonly resolved: DirectoryEntry[];
  /** Size of the directory and the resolved entries in a NAR, in bytes. */
  narSize: number;
  node: Node | undefined;
}

/**
 * Maximum number of directories that may wait for the digest of a small file. If there are more,
 * the file's batch is written early.
 */
const MAX_WAITING = 1024;

class TreeBuilder {
  #uploader: BlobUploader;
  #findRule: () => Promise<DirectorySizeRule>;
  /** The size rule that the target prefers. Set when the first directory comes. */
  #sizeRule: DirectorySizeRule | undefined;
  /**
   * The directories that contain the last entry, from the root down. The entries of these
   * directories have not come yet.
   */
  #open: PendingDirectory[] = [];
  /** Directories whose entries have come, in that order. They wait for the digests of files. */
  #queue: PendingDirectory[] = [];
  #root: PendingEntry | undefined;

  /** @param findRule called once, if the tree has a directory */
  constructor(uploader: BlobUploader, findRule: () => Promise<DirectorySizeRule>) {
    this.#uploader = uploader;
    this.#findRule = findRule;
  }

  /** Yields the directories, leaves first. */
  async *directories(entries: IngestionEntries): AsyncGenerator<Directory> {
    for await (const some of entries) {
      if ("kind" in some) this.#add(some);
      else for (const entry of some) this.#add(entry);
      if (this.#queue.length > MAX_WAITING) await this.#uploader.flush();
      yield* await this.#ready();
    }
    await this.#uploader.flush();
    yield* await this.#ready();
  }

  finish(): IngestedTree {
    if (!this.#root) throw new StoreError("invalid", "the import ended without an entry for its root");
    const node = resolve(this.#root);
    if (!node) throw new StoreError("internal", "the root of the import has no digest");
    return { node, narSize: NAR_HEADER_SIZE + narSizeOf(this.#root) };
  }

  #add(entry: IngestionEntry): void {
    const { path } = entry;
    if (this.#root) throw new StoreError("invalid", `entry ${showPath(path)} comes after the root`);
    if (path.length > MAX_TREE_DEPTH)
      throw new StoreError("invalid", `entry ${showPath(path)} is more than ${MAX_TREE_DEPTH} levels deep`);
    const parent = this.#openParent(path);
    const pending = this.#pending(entry);
    if (this.#open.length > path.length) {
      throw new StoreError(
        "invalid",
        `entry ${showPath(path)} comes before the entry of a sibling directory whose contents have come`,
      );
    }
    if (!parent) {
      this.#root = pending;
      return;
    }
    checkName(pending.name);
    parent.entries.push(pending);
  }

  /**
   * Opens the directories on the path to an entry, and returns its parent. Names are compared by
   * identity first, because sources reuse the array of a directory's name.
   */
  #openParent(path: EntryPath): PendingDirectory | undefined {
    for (let level = 0; level < path.length; level++) {
      const name = level === 0 ? NO_NAME : (path[level - 1] as Uint8Array);
      const open = this.#open[level];
      if (!open) this.#open.push(pendingDirectory(name));
      else if (open.name !== name && !equalBytes(open.name, name)) {
        throw new StoreError(
          "invalid",
          `entry ${showPath(path)} comes before the entry of another directory whose contents have come`,
        );
      }
    }
    return this.#open[path.length - 1];
  }

  #pending(entry: IngestionEntry): PendingEntry {
    const name = entry.path.at(-1) ?? NO_NAME;
    if (entry.kind === "file") return { name, contents: entry.contents, executable: entry.executable };
    if (entry.kind === "symlink") {
      checkSymlinkTarget(entry.target);
      return { name, node: { kind: "symlink", target: entry.target } };
    }
    const open = this.#open[entry.path.length];
    const isThis = open && equalBytes(open.name, name) && this.#open.length === entry.path.length + 1;
    const directory = isThis ? open : pendingDirectory(name);
    if (isThis) this.#open.pop();
    this.#queue.push(directory);
    return { name, directory };
  }

  /** The directories at the front of the queue whose files all have digests. */
  async #ready(): Promise<Iterable<Directory>> {
    if (this.#queue.length === 0) return [];
    this.#sizeRule ??= await this.#findRule();
    return this.#resolveQueue(this.#sizeRule);
  }

  *#resolveQueue(sizeRule: DirectorySizeRule): Generator<Directory> {
    let count = 0;
    for (const pending of this.#queue) {
      const { entries, resolved } = pending;
      while (resolved.length < entries.length) {
        const entry = entries[resolved.length] as PendingEntry;
        const node = resolve(entry);
        if (!node) break;
        resolved.push({ name: entry.name, node });
        pending.narSize += narEntrySize(entry.name.length) + narSizeOf(entry);
      }
      if (resolved.length < entries.length) break;
      count++;
      const directory = makeDirectory(resolved);
      pending.node = directoryNode(directory, sizeRule);
      entries.length = 0;
      resolved.length = 0;
      yield directory;
    }
    if (count > 0) this.#queue.splice(0, count);
  }
}

function pendingDirectory(name: Uint8Array): PendingDirectory {
  return { name, entries: [], resolved: [], narSize: NAR_DIRECTORY_SIZE, node: undefined };
}

/** Size of an entry's node in a NAR. A directory has its whole size once it is resolved. */
function narSizeOf(entry: PendingEntry): number {
  if ("directory" in entry) return entry.directory.narSize;
  if ("node" in entry) return narSymlinkSize(entry.node.target.length);
  return narFileSize(entry.contents.size, entry.executable);
}

function resolve(entry: PendingEntry): Node | undefined {
  if ("node" in entry) return entry.node;
  if ("directory" in entry) return entry.directory.node;
  const { digest, size } = entry.contents;
  return digest && { kind: "file", digest, size: BigInt(size), executable: entry.executable };
}

const NO_NAME: Uint8Array = new Uint8Array(0);
