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

/** Directories and blobs that are read at a time. */
const BATCH = 256;

/** Which entries are alive. */
export class Marks {
  readonly #store: PackedStore;
  readonly #entries = new EntrySet();

  constructor(store: PackedStore) {
    this.#store = store;
  }

  has(entry: number): boolean {
    return this.#entries.has(entry);
  }

  /** Marks what all path infos and pins refer to, as far as it isn't marked yet. @throws StoreError `corrupt` if that can't be told */
  async markRoots(options: OperationOptions): Promise<void> {
    const { database } = this.#store;
    for (const pin of await database.read("pins", (store) => store.getAll())) {
      await this.#mark(nodeOf(pin, `pin ${pin.name}`), options.signal);
    }
    let marked = 0;
    for await (const { hashPart, info } of pathInfoRecords(database, options.signal)) {
      await this.#mark(nodeOf(info, `the PathInfo of ${hashPart}`), options.signal);
      options.onProgress?.({ phase: "marking", loaded: ++marked });
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

  /** @returns those that were not marked yet */
  async #markDirectories(digests: readonly Digest[]): Promise<Digest[]> {
    const { table } = this.#store;
    const isThere = (digest: Digest): boolean => equalBytes(digest, EMPTY_DIGEST) || table.find(digest, DIRECTORY) !== NONE;
    // A path info may be newer than what is known of the index.
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

  /** Whether it was there and not marked yet. Of an object that is in several packs, only the first one stays. */
  #markOne(kind: ObjectKind, digest: Digest): boolean {
    const entry = this.#store.table.find(digest, kind);
    if (entry === NONE || this.has(entry)) return false;
    this.#entries.add(entry);
    return true;
  }
}

/** What is stored is not what went in if somebody else wrote there. */
function nodeOf(root: { readonly node: Node }, what: string): Node {
  try {
    checkNode(root.node);
    return root.node;
  } catch (error) {
    throw new StoreError("corrupt", `${what} is damaged, so garbage can't be told from what it refers to; nothing was deleted`, {
      cause: error,
    });
  }
}

/** A directory's entries. Where one can't be read, what it refers to can't be told from garbage. */
function whole(digest: Digest, bytes: Uint8Array | undefined): readonly DirectoryEntry[] {
  if (!bytes || !equalBytes(digestOf(bytes), digest)) throw notWhole(digest);
  return decodeDirectory(bytes).entries;
}

function notWhole(digest: Digest): StoreError {
  return new StoreError(
    "corrupt",
    `directory ${formatDigest(digest)} is missing or damaged, so garbage can't be told from what it refers to; nothing was deleted (verify the store first)`,
  );
}
