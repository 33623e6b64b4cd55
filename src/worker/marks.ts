import { equalBytes } from "../bytes.ts";
import { type Digest, digestOf, EMPTY_DIGEST, formatDigest } from "../castore/digest.ts";
import type { DirectoryEntry } from "../castore/directory.ts";
import { decodeDirectory } from "../castore/directory-codec.ts";
import { checkNode, type Node } from "../castore/node.ts";
import { StoreError } from "../error.ts";
import type { OperationOptions } from "../progress.ts";
import { decodeBlob } from "./blob-object.ts";
import { EntrySet } from "./entry-set.ts";
import { BLOB, CHUNK, DIRECTORY, NONE, type ObjectKind } from "./object-table.ts";
import type { PackedStore } from "./packed-store.ts";
import { pathInfoRecords } from "./path-info-records.ts";

/** Number of directories or blobs that are read at a time. */
const BATCH = 256;

/** The set of entries that are alive. */
export class Marks {
  readonly #store: PackedStore;
  readonly #entries = new EntrySet();

  constructor(store: PackedStore) {
    this.#store = store;
  }

  has(entry: number): boolean {
    return this.#entries.has(entry);
  }

  /**
   * Marks all objects that path infos and pins refer to, and that are not marked yet.
   *
   * @throws StoreError `corrupt` if a PathInfo, a pin or a directory is damaged or missing
   */
  async markRoots(options: OperationOptions): Promise<void> {
    const { database } = this.#store;
    for (const pin of await database.read("pins", (store) => store.getAll())) {
      await this.#mark(nodeOf(pin, `pin ${pin.name}`), options.signal);
    }
    let marked = 0;
    for await (const { hashPart, info } of pathInfoRecords(database, options.signal)) {
      await this.#mark(nodeOf(info, `the PathInfo of ${hashPart}`), options.signal);
      options.onProgress?.({ phase: "marking", unit: "paths", loaded: ++marked });
    }
  }

  async #mark(root: Node, signal: AbortSignal | undefined): Promise<void> {
    if (root.kind === "symlink") return;
    if (root.kind === "file") return this.#markBlobs([root.digest]);
    let directories = await this.#markDirectories([root.digest]);
    while (directories.length > 0) {
      signal?.throwIfAborted();
      const some = directories.splice(-BATCH);
      const found = await this.#store.read(DIRECTORY, some);
      const blobs: Digest[] = [];
      const children: Digest[] = [];
      for (const [i, bytes] of found.entries()) {
        for (const { node } of whole(some[i] as Digest, bytes)) {
          if (node.kind === "file") blobs.push(node.digest);
          else if (node.kind === "directory") children.push(node.digest);
        }
      }
      directories = directories.concat(await this.#markDirectories(children));
      await this.#markBlobs(blobs);
    }
  }

  /** Marks directories. @returns the directories that were not marked yet */
  async #markDirectories(digests: readonly Digest[]): Promise<Digest[]> {
    const { table } = this.#store;
    const isThere = (digest: Digest): boolean => equalBytes(digest, EMPTY_DIGEST) || table.find(digest, DIRECTORY) !== NONE;
    // A path info may be newer than the index in memory.
    if (!digests.every(isThere)) await this.#store.refresh();
    const lost = digests.find((digest) => !isThere(digest));
    if (lost) throw notWhole(lost);
    return digests.filter((digest) => this.#markOne(DIRECTORY, digest));
  }

  async #markBlobs(blobs: readonly Digest[]): Promise<void> {
    const { table } = this.#store;
    const isThere = (digest: Digest): boolean => table.find(digest, CHUNK) !== NONE || table.find(digest, BLOB) !== NONE;
    if (!blobs.every(isThere)) await this.#store.refresh();
    const long = blobs.filter((digest) => {
      this.#markOne(CHUNK, digest);
      return this.#markOne(BLOB, digest);
    });
    for (let i = 0; i < long.length; i += BATCH) {
      const some = long.slice(i, i + BATCH);
      for (const [j, bytes] of (await this.#store.read(BLOB, some)).entries()) {
        if (!bytes) continue;
        for (const chunk of decodeBlob(bytes, some[j] as Digest).chunks) this.#markOne(CHUNK, chunk.digest);
      }
    }
  }

  /**
   * Marks an object. If several packs hold it, only its first entry is marked, and the others are
   * collected.
   *
   * @returns whether the object exists and was not marked yet
   */
  #markOne(kind: ObjectKind, digest: Digest): boolean {
    const entry = this.#store.table.find(digest, kind);
    if (entry === NONE || this.has(entry)) return false;
    this.#entries.add(entry);
    return true;
  }
}

/**
 * Checks the node of a pin or a path info: other code of this origin may have changed the record.
 */
function nodeOf(root: { readonly node: Node }, what: string): Node {
  try {
    checkNode(root.node);
    return root.node;
  } catch (error) {
    throw new StoreError(
      "corrupt",
      `can't collect garbage: ${what} is damaged, so the objects that it needs are unknown. Nothing was deleted.`,
      {
        cause: error,
      },
    );
  }
}

/**
 * Decodes the entries of a directory. Without them, the objects below it can't be told from
 * garbage.
 */
function whole(digest: Digest, bytes: Uint8Array | undefined): readonly DirectoryEntry[] {
  if (!bytes || !equalBytes(digestOf(bytes), digest)) throw notWhole(digest);
  return decodeDirectory(bytes).entries;
}

function notWhole(digest: Digest): StoreError {
  return new StoreError(
    "corrupt",
    `can't collect garbage: directory ${formatDigest(digest)} is missing or damaged, so the objects that it needs are unknown. Nothing was deleted. Verify the store first.`,
  );
}
