import { equalBytes, quoteBytes, utf8 } from "../bytes.ts";
import { StoreError } from "../error.ts";
import type { PendingBlob } from "./blob-uploader.ts";
import { type EntryPath, type IngestionEntry, MAX_TREE_DEPTH } from "./ingest.ts";
import { checkName, checkSymlinkTarget } from "./node.ts";
import type { TarEntry } from "./tar-parser.ts";

/**
 * Maximum number of files, symlinks and directories in an archive, including those that later
 * entries replace. Each one takes some 300 to 700 bytes of memory. Chromium's sources have half as
 * many.
 */
export const MAX_TAR_ENTRIES = 1_000_000;
/**
 * Maximum number of bytes in all paths and link targets of an archive. They are held in memory too.
 */
export const MAX_TAR_NAME_BYTES = 256 * 1024 * 1024;

const OWNER_EXECUTABLE = 0o100;
const SLASH = 0x2f;
const DOT = utf8(".");

interface TarDirectory {
  readonly kind: "directory";
  readonly name: Uint8Array;
  readonly children: Map<string, TarNode>;
}

type TarLeaf =
  | { readonly kind: "file"; readonly name: Uint8Array; readonly executable: boolean; readonly contents: PendingBlob }
  | { readonly kind: "symlink"; readonly name: Uint8Array; readonly target: Uint8Array };

/** A hard link whose target has not come yet. */
interface TarLink {
  readonly kind: "link";
  readonly name: Uint8Array;
  readonly entry: TarEntry;
  target: TarLeaf | undefined;
}

type TarNode = TarDirectory | TarLeaf | TarLink;

/**
 * Builds a tree from the entries of a tar, which come in any order. A directory that is named again
 * is merged. Anything else that is named again replaces the earlier entry. A hard link becomes a
 * separate file: a copy of its target at that point of the archive. If the target comes later, the
 * hard link is a copy of the target at the end of the archive.
 */
export class TarTree {
  /** The directory of the top-level entries. */
  readonly #top: TarDirectory = { kind: "directory", name: new Uint8Array(0), children: new Map() };
  readonly #links: { readonly parent: TarDirectory; readonly link: TarLink }[] = [];
  #entries = 0;
  #nameBytes = 0;

  /**
   * Adds an entry.
   *
   * @param contents content of a file; `undefined` for any other entry
   * @throws StoreError `invalid` if a name can't be in a store path, or the entry can't be at its
   *   path. Also if the archive exceeds `MAX_TAR_ENTRIES` or `MAX_TAR_NAME_BYTES`.
   */
  add(entry: TarEntry, contents: PendingBlob | undefined): void {
    this.#nameBytes += entry.path.length + entry.linkPath.length;
    if (this.#nameBytes > MAX_TAR_NAME_BYTES)
      throw new StoreError(
        "invalid",
        `the names in the tar archive take more than ${MAX_TAR_NAME_BYTES} bytes; import it in parts`,
      );
    const path = splitPath(entry.path);
    const name = path.at(-1);
    if (!name) {
      // The path is `./`: the directory in which the archive was made.
      if (entry.type === "directory") return;
      throw new StoreError("invalid", `the tar entry ${quoteBytes(entry.path)} has no name`);
    }
    const parent = this.#parent(path, entry.path);
    const existing = parent.children.get(key(name));
    if (entry.type === "directory") {
      if (existing?.kind !== "directory") this.#addDirectory(parent, name);
      return;
    }
    if (existing?.kind === "directory" && existing.children.size > 0)
      throw new StoreError("invalid", `the tar entry ${quoteBytes(entry.path)} would replace a directory that is not empty`);
    if (contents) {
      const executable = (entry.mode & OWNER_EXECUTABLE) !== 0;
      this.#replace(parent, { kind: "file", name, executable, contents });
    } else if (entry.type === "symlink") {
      checkSymlinkTarget(entry.linkPath);
      this.#replace(parent, { kind: "symlink", name, target: entry.linkPath });
    } else this.#addLink(parent, name, entry);
  }

  /**
   * Yields the entries in the order that an import needs. The root is the only top-level entry, or,
   * with `keepTop`, a directory of all top-level entries.
   *
   * @throws StoreError `invalid` if there is not exactly one top-level entry (without `keepTop`),
   *   or a hard link has no target
   */
  *entries({ keepTop }: { keepTop: boolean }): Generator<IngestionEntry> {
    this.#resolveLinks();
    const root = keepTop ? this.#top : this.#onlyEntry();
    if (root.kind !== "directory") {
      yield leafEntry(root, []);
      return;
    }
    // Depth first, with an explicit stack: an archive must not decide how deep our calls nest.
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

  #count(): void {
    if (++this.#entries > MAX_TAR_ENTRIES)
      throw new StoreError("invalid", `the tar archive has more than ${MAX_TAR_ENTRIES} files and directories; import it in parts`);
  }

  #addDirectory(parent: TarDirectory, name: Uint8Array): TarDirectory {
    this.#count();
    const directory: TarDirectory = { kind: "directory", name, children: new Map() };
    parent.children.set(key(name), directory);
    return directory;
  }

  /**
   * Adds `node` behind its siblings. It takes the order of the later entry, not of the replaced
   * one.
   */
  #replace(parent: TarDirectory, node: TarNode): void {
    this.#count();
    parent.children.delete(key(node.name));
    parent.children.set(key(node.name), node);
  }

  #addLink(parent: TarDirectory, name: Uint8Array, entry: TarEntry): void {
    const target = this.#find(splitPath(entry.linkPath));
    // A link to itself changes nothing.
    if (target !== undefined && target === parent.children.get(key(name))) return;
    if (target?.kind === "directory") throw notAFile(entry);
    if (target && target.kind !== "link") {
      this.#replace(parent, { ...target, name });
      return;
    }
    const link: TarLink = { kind: "link", name, entry, target: undefined };
    this.#replace(parent, link);
    this.#links.push({ parent, link });
  }

  #resolveLinks(): void {
    for (const { parent, link } of this.#links) {
      // A later entry may have replaced the link.
      if (parent.children.get(key(link.name)) !== link) continue;
      parent.children.set(key(link.name), { ...this.#targetOf(link), name: link.name });
    }
  }

  /**
   * Follows a chain of links to its target, and records the target in each link, so that every link
   * is followed only once.
   */
  #targetOf(link: TarLink): TarLeaf {
    const passed = new Set<TarLink>();
    let node: TarNode = link;
    while (node.kind === "link") {
      passed.add(node);
      const next: TarNode | undefined = node.target ?? this.#find(splitPath(node.entry.linkPath));
      if (!next || next.kind === "directory" || (next.kind === "link" && passed.has(next))) throw notAFile(node.entry);
      node = next;
    }
    for (const each of passed) each.target = node;
    return node;
  }

  #parent(path: EntryPath, shown: Uint8Array): TarDirectory {
    let directory = this.#top;
    for (const name of path.slice(0, -1)) {
      let child = directory.children.get(key(name));
      child ??= this.#addDirectory(directory, name);
      if (child.kind !== "directory")
        throw new StoreError("invalid", `the tar entry ${quoteBytes(shown)} is beneath something that is not a directory`);
      directory = child;
    }
    return directory;
  }

  #find(path: EntryPath): TarNode | undefined {
    let node: TarNode | undefined = this.#top;
    for (const name of path) node = node?.kind === "directory" ? node.children.get(key(name)) : undefined;
    return node;
  }

  #onlyEntry(): TarNode {
    const [root, second] = this.#top.children.values();
    if (!root) throw new StoreError("invalid", "the tar archive has no entries");
    if (second)
      throw new StoreError(
        "invalid",
        `the tar archive has more than one top-level entry: ${quoteBytes(root.name)} and ${quoteBytes(second.name)}; import it with stripRoot: false to keep them all`,
      );
    return root;
  }
}

function leafEntry(node: TarLeaf | TarLink, path: EntryPath): IngestionEntry {
  if (node.kind === "link") throw notAFile(node.entry);
  if (node.kind === "symlink") return { kind: "symlink", path, target: node.target };
  return { kind: "file", path, executable: node.executable, contents: node.contents };
}

function notAFile(link: TarEntry): StoreError {
  return new StoreError(
    "invalid",
    `the tar entry ${quoteBytes(link.path)} is a hard link to ${quoteBytes(link.linkPath)}, which is not a file of the archive`,
  );
}

/** A key of one character per byte, so that no two names share a key. */
function key(name: Uint8Array): string {
  return String.fromCharCode(...name);
}

/**
 * Splits a path into names, and drops leading slashes and `.`, as every tar program does.
 *
 * @throws StoreError `invalid` if a name is not allowed (`..` included), or the path is too deep
 */
function splitPath(path: Uint8Array): EntryPath {
  const names: Uint8Array[] = [];
  for (let start = 0; start <= path.length; ) {
    const slash = path.indexOf(SLASH, start);
    const end = slash === -1 ? path.length : slash;
    const name = path.subarray(start, end);
    start = end + 1;
    if (name.length === 0 || equalBytes(name, DOT)) continue;
    checkName(name);
    names.push(name);
  }
  if (names.length > MAX_TREE_DEPTH)
    throw new StoreError("invalid", `the tar entry ${quoteBytes(path)} is more than ${MAX_TREE_DEPTH} levels deep`);
  return names;
}
