import { decodeUtf8, equalBytes, quote } from "../bytes.ts";
import { StoreError } from "../error.ts";
import { BlobUploader, type PendingBlob } from "./blob-uploader.ts";
import { type Directory, type DirectoryEntry, type DirectorySizeRule, makeDirectory } from "./directory.ts";
import { directoryNode } from "./directory-codec.ts";
import { checkName, checkSymlinkTarget, type Node } from "./node.ts";
import type { CastoreServices } from "./services.ts";

/** Names from the root down; the root itself has the empty path. */
export type EntryPath = readonly Uint8Array[];

/**
 * What a source tells of one file, symlink or directory. What is beneath a directory comes right before it, depth first, and the
 * root comes last: like tvix's ingestion entries, so that a directory can be written as soon as it comes.
 */
export type IngestionEntry =
  | { readonly kind: "directory"; readonly path: EntryPath }
  | { readonly kind: "symlink"; readonly path: EntryPath; readonly target: Uint8Array }
  | { readonly kind: "file"; readonly path: EntryPath; readonly executable: boolean; readonly contents: PendingBlob };

/** A source that has many at a time yields them together: a turn of an asynchronous iteration costs more than a small file's parsing. */
export type IngestionEntries = AsyncIterable<IngestionEntry | readonly IngestionEntry[]> | Iterable<IngestionEntry>;

export interface IngestOptions {
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
  entries: IngestionEntries,
  options: IngestOptions = {},
): Promise<Node> {
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
  return tree.root();
}

/** The same with an uploader of its own, for a source that pushes into it. What was not put away by then is given up on failure. */
export async function ingest(
  castore: CastoreServices,
  source: (uploader: BlobUploader) => IngestionEntries,
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

async function preferredRule(castore: CastoreServices, signal: AbortSignal | undefined): Promise<DirectorySizeRule> {
  const [rule] = await castore.directories.sizeRules({ signal });
  if (!rule) throw new StoreError("internal", "the directory service accepts no size rule");
  return rule;
}

/** What a directory holds: a node, or what becomes one when its digest is known. */
type PendingEntry = { name: Uint8Array } & (
  | { node: Node }
  | { directory: PendingDirectory }
  | { contents: PendingBlob; executable: boolean }
);

interface PendingDirectory {
  readonly name: Uint8Array;
  /** Those from here on wait for their digests. */
  readonly entries: PendingEntry[];
  /** Those before have them. */
  readonly resolved: DirectoryEntry[];
  node: Node | undefined;
}

/** Directories that may wait for the digest of one small file before its batch is written early. */
const MAX_WAITING = 1024;

class TreeBuilder {
  #uploader: BlobUploader;
  #findRule: () => Promise<DirectorySizeRule>;
  /** Known from the first directory on. */
  #sizeRule: DirectorySizeRule | undefined;
  /** The directories that the last entry was in, from the root down, none of which has come itself yet. */
  #open: PendingDirectory[] = [];
  /** Directories that came, in their order, and wait for digests of files. */
  #queue: PendingDirectory[] = [];
  #root: PendingEntry | undefined;

  /** @param findRule called once, if there is a directory */
  constructor(uploader: BlobUploader, findRule: () => Promise<DirectorySizeRule>) {
    this.#uploader = uploader;
    this.#findRule = findRule;
  }

  /** Leaves first. */
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

  root(): Node {
    if (!this.#root) throw new StoreError("invalid", "the import ended without its root");
    const node = resolve(this.#root);
    if (!node) throw new StoreError("internal", "the root of the import has no digest");
    return node;
  }

  #add(entry: IngestionEntry): void {
    const { path } = entry;
    if (this.#root) throw new StoreError("invalid", `entry ${showPath(path)} comes after the root`);
    if (path.length > MAX_TREE_DEPTH)
      throw new StoreError("invalid", `entry ${showPath(path)} is more than ${MAX_TREE_DEPTH} levels deep`);
    const parent = this.#openParent(path);
    const pending = this.#pending(entry);
    if (this.#open.length > path.length) {
      throw new StoreError("invalid", `a directory at the level of ${showPath(path)} was left and did not come itself`);
    }
    if (!parent) {
      this.#root = pending;
      return;
    }
    checkName(pending.name);
    parent.entries.push(pending);
  }

  /** Opens the directories on the way to `path`. Names are compared by identity first: sources use one array for one directory. */
  #openParent(path: EntryPath): PendingDirectory | undefined {
    for (let level = 0; level < path.length; level++) {
      const name = level === 0 ? NO_NAME : (path[level - 1] as Uint8Array);
      const open = this.#open[level];
      if (!open) this.#open.push({ name, entries: [], resolved: [], node: undefined });
      else if (open.name !== name && !equalBytes(open.name, name)) {
        throw new StoreError("invalid", `entry ${showPath(path)} comes before a directory beside it that was not ended`);
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
    const directory = isThis ? open : { name, entries: [], resolved: [], node: undefined };
    if (isThis) this.#open.pop();
    this.#queue.push(directory);
    return { name, directory };
  }

  /** Those at the front of the queue whose files all have their digests by now. */
  async #ready(): Promise<Iterable<Directory>> {
    if (this.#queue.length === 0) return [];
    this.#sizeRule ??= await this.#findRule();
    return this.#resolveQueue(this.#sizeRule);
  }

  *#resolveQueue(sizeRule: DirectorySizeRule): Generator<Directory> {
    let count = 0;
    for (const { entries, resolved } of this.#queue) {
      while (resolved.length < entries.length) {
        const entry = entries[resolved.length] as PendingEntry;
        const node = resolve(entry);
        if (!node) break;
        resolved.push({ name: entry.name, node });
      }
      if (resolved.length < entries.length) break;
      const pending = this.#queue[count++] as PendingDirectory;
      const directory = makeDirectory(resolved);
      pending.node = directoryNode(directory, sizeRule);
      entries.length = 0;
      resolved.length = 0;
      yield directory;
    }
    if (count > 0) this.#queue.splice(0, count);
  }
}

function resolve(entry: PendingEntry): Node | undefined {
  if ("node" in entry) return entry.node;
  if ("directory" in entry) return entry.directory.node;
  const { digest, size } = entry.contents;
  return digest && { kind: "file", digest, size: BigInt(size), executable: entry.executable };
}

const NO_NAME: Uint8Array = new Uint8Array(0);
