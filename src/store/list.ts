import { decodeUtf8, quote, quoteBytes, utf8 } from "../bytes.ts";
import { formatDigest } from "../castore/digest.ts";
import { type DirectoryEntry, findEntry } from "../castore/directory.ts";
import type { EntryPath } from "../castore/ingest.ts";
import { checkName, type Node } from "../castore/node.ts";
import type { CastoreServices } from "../castore/services.ts";
import { isStoreError, StoreError } from "../error.ts";
import { requirePathInfo } from "./closure.ts";
import type { StoreServices } from "./services.ts";

const SLASH = 0x2f;

/** Limit in bytes, which bounds the work that a hostile path causes. */
const MAX_PATH_LENGTH = 1024 * 256;

/**
 * Parses a path inside a store path: names separated by single slashes, without a slash at the
 * start or the end. The empty path is the root.
 *
 * @throws StoreError `invalid` if a name is empty, `.` or `..`, contains NUL, or is longer than 255
 *   bytes; or if the path is longer than 256 KiB
 */
export function parseEntryPath(path: string | Uint8Array): EntryPath {
  const bytes = typeof path === "string" ? utf8(path) : path;
  if (bytes.length > MAX_PATH_LENGTH)
    throw new StoreError("invalid", `a path of ${bytes.length} bytes is too long; the limit is 256 KiB`);
  if (bytes.length === 0) return [];
  const names: Uint8Array[] = [];
  for (let start = 0; start <= bytes.length; ) {
    const slash = bytes.indexOf(SLASH, start);
    const end = slash === -1 ? bytes.length : slash;
    const name = bytes.slice(start, end);
    try {
      checkName(name);
    } catch (error) {
      if (!isStoreError(error)) throw error;
      throw new StoreError("invalid", `path ${quoteBytes(bytes)}: ${error.message}`, { cause: error });
    }
    names.push(name);
    start = end + 1;
  }
  return names;
}

/**
 * Returns the node at `path` beneath `root`, or `undefined` if there is none. It does not follow
 * symlinks: a symlink has nothing beneath it.
 *
 * @throws StoreError `invalid` if the path is malformed; `not-found` if a directory on the way is
 *   not in the store
 */
export async function resolvePath(
  castore: CastoreServices,
  root: Node,
  path: EntryPath | string | Uint8Array,
  options: { signal?: AbortSignal | undefined } = {},
): Promise<Node | undefined> {
  const names = typeof path === "string" || path instanceof Uint8Array ? parseEntryPath(path) : path;
  let node = root;
  for (const name of names) {
    if (node.kind !== "directory") return undefined;
    const entry = findEntry({ entries: await directoryEntries(castore, node, options) }, name);
    if (!entry) return undefined;
    node = entry.node;
  }
  return node;
}

/**
 * Returns the node at `path` inside a store path.
 *
 * @throws StoreError `not-found` if the store does not have the store path, or nothing is at `path`
 *   inside it; otherwise like `resolvePath`
 */
export async function requireNode(
  store: StoreServices,
  storePath: string,
  path: string | Uint8Array,
  options: { signal?: AbortSignal | undefined } = {},
): Promise<Node> {
  const info = await requirePathInfo(store.pathInfos, storePath, options);
  const node = await resolvePath(store, info.node, path, options);
  if (node) return node;
  const shown = typeof path === "string" ? quote(path) : quoteBytes(path);
  throw new StoreError("not-found", `${info.storePath} has nothing at ${shown}`);
}

/**
 * Returns the entries of the directory at `path` beneath `root`, in their order; `undefined` if
 * nothing is at `path`.
 *
 * @throws StoreError `invalid` if the path is malformed, or if it leads to a file or a symlink;
 *   `not-found` if a directory on the way is not in the store
 */
export async function listDirectory(
  castore: CastoreServices,
  root: Node,
  path: EntryPath | string | Uint8Array,
  options: { signal?: AbortSignal | undefined } = {},
): Promise<readonly DirectoryEntry[] | undefined> {
  const node = await resolvePath(castore, root, path, options);
  if (!node) return undefined;
  if (node.kind !== "directory") throw new StoreError("invalid", `${formatPath(path)} is a ${node.kind}, not a directory`);
  return directoryEntries(castore, node, options);
}

async function directoryEntries(
  castore: CastoreServices,
  node: Node & { kind: "directory" },
  options: { signal?: AbortSignal | undefined },
): Promise<readonly DirectoryEntry[]> {
  const directory = await castore.directories.get(node.digest, options);
  if (!directory) throw new StoreError("not-found", `directory ${formatDigest(node.digest)} is missing from the store`);
  return directory.entries;
}

function formatPath(path: EntryPath | string | Uint8Array): string {
  if (typeof path === "string") return quote(path);
  return path instanceof Uint8Array ? quoteBytes(path) : quote(path.map((name) => decodeUtf8(name)).join("/"));
}
