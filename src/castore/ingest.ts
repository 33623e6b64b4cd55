import { concatBytes, decodeUtf8, quote } from "../bytes.ts";
import { StoreError } from "../error.ts";
import { BlobUploader, type PendingBlob } from "./blob-uploader.ts";
import { type Directory, type DirectoryEntry, type DirectorySizeRule, makeDirectory } from "./directory.ts";
import { directoryNode } from "./directory-codec.ts";
import { checkName, checkSymlinkTarget, type Node } from "./node.ts";
import type { CastoreServices } from "./services.ts";

/** Names from the root down; the root itself has the empty path. */
export type EntryPath = readonly Uint8Array[];

/**
 * What a source tells of one file, symlink or directory. Everything beneath a directory comes before it, the root comes last:
 * like tvix's ingestion entries, so that a directory can be written as soon as it comes.
 */
export type IngestionEntry =
  | { readonly kind: "directory"; readonly path: EntryPath }
  | { readonly kind: "symlink"; readonly path: EntryPath; readonly target: Uint8Array }
  | { readonly kind: "file"; readonly path: EntryPath; readonly executable: boolean; readonly contents: PendingBlob };

export interface IngestOptions {
  /** How directories count their size; `documented` if not given. */
  sizeRule?: DirectorySizeRule | undefined;
  signal?: AbortSignal | undefined;
}

/** How deep a tree may be: the same as in a NAR, so that what goes in can be rendered. */
export const MAX_TREE_DEPTH = 1024;

/** A path for a message, decoded for show. */
export function showPath(path: EntryPath): string {
  return quote(path.length === 0 ? "/" : path.map(decodeUtf8).join("/"));
}

/**
 * The one way into castore, whatever the source: writes the directories of `entries`, whose contents go through `uploader`, and
 * answers the root. On failure nothing that was written is referred to from anywhere.
 *
 * @throws StoreError `invalid` if the entries are not those of one tree
 */
export async function ingestEntries(
  castore: CastoreServices,
  uploader: BlobUploader,
  entries: AsyncIterable<IngestionEntry> | Iterable<IngestionEntry>,
  options: IngestOptions = {},
): Promise<Node> {
  const tree = new TreeBuilder(uploader, options.sizeRule ?? "documented");
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
  return tree.root();
}

/** The same with an uploader of its own, for a source that pushes into it. What was not put away by then is given up on failure. */
export async function ingest(
  castore: CastoreServices,
  source: (uploader: BlobUploader) => AsyncIterable<IngestionEntry>,
  options: IngestOptions = {},
): Promise<Node> {
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

/** A directory or file whose digest may not be known yet. */
type PendingEntry = { name: Uint8Array } & (
  | { node: Node }
  | { directory: PendingDirectory }
  | { contents: PendingBlob; executable: boolean }
);

interface PendingDirectory {
  entries: PendingEntry[];
  node: Node | undefined;
}

class TreeBuilder {
  #uploader: BlobUploader;
  #sizeRule: DirectorySizeRule;
  /** Directories that have entries but have not come themselves yet, by their path. */
  #open = new Map<string, PendingDirectory>();
  /** Directories that came, in their order, and wait for digests of files. */
  #queue: PendingDirectory[] = [];
  #root: PendingEntry | undefined;

  constructor(uploader: BlobUploader, sizeRule: DirectorySizeRule) {
    this.#uploader = uploader;
    this.#sizeRule = sizeRule;
  }

  /** Leaves first. */
  async *directories(entries: AsyncIterable<IngestionEntry> | Iterable<IngestionEntry>): AsyncGenerator<Directory> {
    for await (const entry of entries) {
      this.#add(entry);
      yield* this.#ready();
    }
    await this.#uploader.flush();
    yield* this.#ready();
  }

  root(): Node {
    if (!this.#root) throw new StoreError("invalid", "there is no entry to import");
    for (const path of this.#open.keys())
      throw new StoreError("invalid", `directory ${quote(path)} of the import never came itself`);
    const node = resolve(this.#root);
    if (!node) throw new StoreError("internal", "the root of the import has no digest");
    return node;
  }

  #add(entry: IngestionEntry): void {
    if (this.#root) throw new StoreError("invalid", `entry ${showPath(entry.path)} comes after the root`);
    if (entry.path.length > MAX_TREE_DEPTH)
      throw new StoreError("invalid", `entry ${showPath(entry.path)} is more than ${MAX_TREE_DEPTH} levels deep`);
    const pending = this.#pending(entry);
    if (entry.path.length === 0) {
      this.#root = pending;
      return;
    }
    checkName(pending.name);
    const parent = pathKey(entry.path, entry.path.length - 1);
    let directory = this.#open.get(parent);
    if (!directory) {
      directory = { entries: [], node: undefined };
      this.#open.set(parent, directory);
    }
    directory.entries.push(pending);
  }

  #pending(entry: IngestionEntry): PendingEntry {
    const name = entry.path.at(-1) ?? new Uint8Array(0);
    if (entry.kind === "file") return { name, contents: entry.contents, executable: entry.executable };
    if (entry.kind === "symlink") {
      checkSymlinkTarget(entry.target);
      return { name, node: { kind: "symlink", target: entry.target } };
    }
    const key = pathKey(entry.path, entry.path.length);
    const directory = this.#open.get(key) ?? { entries: [], node: undefined };
    this.#open.delete(key);
    this.#queue.push(directory);
    return { name, directory };
  }

  /** Those at the front of the queue whose files all have their digests by now. */
  *#ready(): Generator<Directory> {
    let count = 0;
    for (const pending of this.#queue) {
      const entries: DirectoryEntry[] = [];
      for (const entry of pending.entries) {
        const node = resolve(entry);
        if (!node) break;
        entries.push({ name: entry.name, node });
      }
      if (entries.length < pending.entries.length) break;
      count++;
      const directory = makeDirectory(entries);
      pending.node = directoryNode(directory, this.#sizeRule);
      pending.entries = [];
      yield directory;
    }
    this.#queue.splice(0, count);
  }
}

function resolve(entry: PendingEntry): Node | undefined {
  if ("node" in entry) return entry.node;
  if ("directory" in entry) return entry.directory.node;
  const { digest, size } = entry.contents;
  return digest && { kind: "file", digest, size: BigInt(size), executable: entry.executable };
}

/** Names can't contain a slash, so that a path has one key; bytes are kept as characters, so that no two paths share one. */
function pathKey(path: EntryPath, length: number): string {
  const joined = concatBytes(path.slice(0, length).flatMap((name) => [SLASH, name]));
  let key = "";
  for (let i = 0; i < joined.length; i += 0x2000) key += String.fromCharCode(...joined.subarray(i, i + 0x2000));
  return key;
}

const SLASH = new Uint8Array([0x2f]);
