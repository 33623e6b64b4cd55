import { equalBytes } from "../bytes.ts";
import { type ReadManyOptions, SMALL_BLOB_LIMIT } from "../castore/blob-service.ts";
import { type Digest, digestKey, EMPTY_DIGEST } from "../castore/digest.ts";
import type { DirectoryEntry } from "../castore/directory.ts";
import type { FileNode, Node } from "../castore/node.ts";
import type { CastoreServices } from "../castore/services.ts";
import { StoreError } from "../error.ts";
import { NAR_DIRECTORY_OPEN_SIZE, NAR_HEADER_SIZE, narEntryOpenSize, narEntrySize } from "../nix/nar-size.ts";
import { DirectoryReader } from "./directory-reader.ts";
import type { NarSizes } from "./nar-sizes.ts";
import { TreeWalk } from "./tree-walk.ts";

/** Limits of a batch: bytes of small files that are read together, and steps. */
const BATCH_BYTES = SMALL_BLOB_LIMIT;
const BATCH_STEPS = 4096;

/**
 * The next instruction for the writer: a node, with its name unless it is the root; or `leave`, the
 * end of a directory.
 */
export type PlannedStep = { readonly name: Uint8Array | undefined; readonly node: Node; readonly blob: number } | "leave";

export interface PlannedBatch {
  readonly steps: readonly PlannedStep[];
  readonly blobs: readonly Digest[];
  /** Contents of `blobs`, in the same order. */
  readonly contents: Promise<readonly (Uint8Array | undefined)[]>;
  /** The file of the last step, if it is too large to be in `blobs`. */
  readonly large: FileNode | undefined;
}

/** Index of a blob that needs no read here: it is empty, or it is the batch's `large` file. */
export const NO_BLOB = -1;

/** Offset in the NAR of the first wanted byte, and the sizes that locate it. */
export interface PlanStart {
  readonly offset: number;
  readonly sizes: NarSizes;
}

/**
 * Walks the tree ahead of the writer, batch by batch.
 */
export class NarPlan {
  readonly #castore: CastoreServices;
  readonly #options: ReadManyOptions;
  readonly #reader: DirectoryReader | undefined;
  readonly #walk: TreeWalk | undefined;
  #root: Node | undefined;
  /** Set until a wanted entry is found. */
  #start: PlanStart | undefined;
  #offset = NAR_HEADER_SIZE;
  #skipped = 0;

  /**
   * @param options how the small files are read
   * @param start first wanted byte; without it, everything is wanted
   */
  constructor(castore: CastoreServices, root: Node, options: ReadManyOptions, start?: PlanStart) {
    this.#start = start;
    this.#castore = castore;
    this.#options = options;
    this.#root = root;
    if (root.kind !== "directory") return;
    this.#reader = new DirectoryReader(castore.directories, root.digest, options.signal);
    this.#walk = new TreeWalk(this.#reader);
  }

  /**
   * Bytes of the skipped entries, all of which end before the first wanted byte. Final once the
   * first batch is there.
   */
  get skipped(): number {
    return this.#skipped;
  }

  /** Returns the next batch; `undefined` at the end. Wait for each call before the next one. */
  async next(): Promise<PlannedBatch | undefined> {
    const batch = new BatchBuilder();
    while (!batch.full) {
      if (this.#root) {
        const root = this.#root;
        this.#root = undefined;
        batch.add(undefined, root);
        if (root.kind === "directory") await this.#enter(root.digest);
        continue;
      }
      if (!this.#walk?.current) break;
      const entry = this.#walk.next();
      if (entry) {
        if (this.#skip(entry)) continue;
        batch.add(entry.name, entry.node);
        if (entry.node.kind === "directory") await this.#enter(entry.node.digest);
      } else {
        this.#start = undefined;
        this.#walk.leave();
        batch.leave();
      }
    }
    return batch.steps.length === 0 ? undefined : batch.start(this.#castore, this.#options);
  }

  close(): void {
    this.#reader?.close().catch(() => {});
  }

  /** Whether no byte of `entry` is wanted. */
  #skip({ name, node }: DirectoryEntry): boolean {
    if (!this.#start) return false;
    const size = narEntrySize(name.length) + this.#start.sizes.of(node);
    if (this.#offset + size <= this.#start.offset) {
      this.#offset += size;
      this.#skipped += size;
      return true;
    }
    if (node.kind === "directory") this.#offset += narEntryOpenSize(name.length);
    else this.#start = undefined;
    return false;
  }

  async #enter(digest: Digest): Promise<void> {
    await this.#walk?.enter(digest, undefined);
    this.#offset += NAR_DIRECTORY_OPEN_SIZE;
  }
}

class BatchBuilder {
  readonly steps: PlannedStep[] = [];
  readonly #blobs: Digest[] = [];
  /** Index in `#blobs` of each digest: equal content is read once. */
  readonly #indices = new Map<string, number>();
  #bytes = 0;
  #large: FileNode | undefined;

  get full(): boolean {
    return this.#large !== undefined || this.#bytes >= BATCH_BYTES || this.steps.length >= BATCH_STEPS;
  }

  add(name: Uint8Array | undefined, node: Node): void {
    this.steps.push({ name, node, blob: node.kind === "file" ? this.#addFile(node) : NO_BLOB });
  }

  leave(): void {
    this.steps.push("leave");
  }

  start(castore: CastoreServices, options: ReadManyOptions): PlannedBatch {
    const blobs = this.#blobs;
    const contents = blobs.length === 0 ? Promise.resolve([]) : castore.blobs.readMany(blobs, options);
    // The caller awaits it later, or never if the stream ends early.
    contents.catch(() => {});
    return { steps: this.steps, blobs, contents, large: this.#large };
  }

  #addFile(node: FileNode): number {
    const size = checkNarSize(Number(node.size));
    if (size > SMALL_BLOB_LIMIT) {
      this.#large = node;
      return NO_BLOB;
    }
    if (size === 0 && equalBytes(node.digest, EMPTY_DIGEST)) return NO_BLOB;
    const key = digestKey(node.digest);
    const known = this.#indices.get(key);
    if (known !== undefined) return known;
    this.#bytes += size;
    this.#indices.set(key, this.#blobs.length);
    return this.#blobs.push(node.digest) - 1;
  }
}

/** @throws StoreError `invalid` if the size is 2^53 bytes or more */
export function checkNarSize(size: number): number {
  if (!Number.isSafeInteger(size)) throw new StoreError("invalid", "a file or NAR has 2^53 bytes or more, which is too large");
  return size;
}
