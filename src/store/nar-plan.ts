import { equalBytes } from "../bytes.ts";
import { SMALL_BLOB_LIMIT } from "../castore/blob-service.ts";
import { type Digest, digestKey, EMPTY_DIGEST, formatDigest } from "../castore/digest.ts";
import type { DirectoryEntry } from "../castore/directory.ts";
import { MAX_TREE_DEPTH } from "../castore/ingest.ts";
import type { FileNode, Node } from "../castore/node.ts";
import type { CastoreServices } from "../castore/services.ts";
import { StoreError } from "../error.ts";
import { NAR_DIRECTORY_OPEN_SIZE, NAR_HEADER_SIZE, narEntryOpenSize, narEntrySize } from "../nix/nar-size.ts";
import { DirectoryReader } from "./directory-reader.ts";
import type { NarSizes } from "./nar-sizes.ts";

/** Small files are read together until they have this many bytes, or until there are this many nodes to write. */
const BATCH_BYTES = SMALL_BLOB_LIMIT;
const BATCH_STEPS = 4096;

/** What the writer is to be told next: a node, under its name unless it is the root; or the end of a directory. */
export type PlannedStep = { readonly name: Uint8Array | undefined; readonly node: Node; readonly blob: number } | "leave";

export interface PlannedBatch {
  readonly steps: readonly PlannedStep[];
  readonly blobs: readonly Digest[];
  /** Of `blobs`. */
  readonly contents: Promise<readonly (Uint8Array | undefined)[]>;
  /** The last step's file, if it is too large to be one of `blobs`. */
  readonly large: FileNode | undefined;
}

/** The content is empty and need not be asked for. */
export const NO_BLOB = -1;

/** Where in the NAR the first byte is that is wanted, and how to tell what comes before it. */
export interface PlanStart {
  readonly offset: number;
  readonly sizes: NarSizes;
}

/** Walks the tree ahead of the writer, batch by batch, with a stack of its own: nesting costs no call stack. */
export class NarPlan {
  readonly #castore: CastoreServices;
  readonly #signal: AbortSignal | undefined;
  readonly #reader: DirectoryReader | undefined;
  #root: Node | undefined;
  readonly #stack: { readonly entries: readonly DirectoryEntry[]; next: number }[] = [];
  /** Until something wanted was found. */
  #start: PlanStart | undefined;
  #offset = NAR_HEADER_SIZE;
  #skipped = 0;

  /** @param start without it, everything is wanted */
  constructor(castore: CastoreServices, root: Node, signal: AbortSignal | undefined, start?: PlanStart) {
    this.#start = start;
    this.#castore = castore;
    this.#signal = signal;
    this.#root = root;
    if (root.kind === "directory") this.#reader = new DirectoryReader(castore.directories, root.digest, signal);
  }

  /** Bytes of the entries that are left out, each of which ends before what is wanted. Known once the first batch is there. */
  get skipped(): number {
    return this.#skipped;
  }

  /** `undefined` at the end. Not to be called again before it resolved. */
  async next(): Promise<PlannedBatch | undefined> {
    const batch = new BatchBuilder();
    while (!batch.full) {
      const top = this.#stack.at(-1);
      if (this.#root) {
        const root = this.#root;
        this.#root = undefined;
        batch.add(undefined, root);
        if (root.kind === "directory") await this.#enter(root.digest);
        continue;
      }
      if (!top) break;
      const entry = top.entries[top.next++];
      if (entry) {
        if (this.#skip(entry)) continue;
        batch.add(entry.name, entry.node);
        if (entry.node.kind === "directory") await this.#enter(entry.node.digest);
      } else {
        this.#start = undefined;
        this.#stack.pop();
        batch.leave();
      }
    }
    return batch.steps.length === 0 ? undefined : batch.start(this.#castore, this.#signal);
  }

  close(): void {
    this.#reader?.close().catch(() => {});
  }

  /** Whether nothing of `entry` is wanted. */
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
    if (this.#stack.length > MAX_TREE_DEPTH) throw tooDeep(digest);
    this.#offset += NAR_DIRECTORY_OPEN_SIZE;
    const reader = this.#reader as DirectoryReader;
    const { entries } = reader.kept(digest) ?? (await reader.read(digest));
    this.#stack.push({ entries, next: 0 });
  }
}

class BatchBuilder {
  readonly steps: PlannedStep[] = [];
  readonly #blobs: Digest[] = [];
  /** Which of `#blobs` a digest is: the same content is read once. */
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

  start(castore: CastoreServices, signal: AbortSignal | undefined): PlannedBatch {
    const blobs = this.#blobs;
    const contents = blobs.length === 0 ? Promise.resolve([]) : castore.blobs.readMany(blobs, { signal });
    // It is awaited later, or never when the stream ends early.
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

/** @throws StoreError `invalid` */
export function checkNarSize(size: number): number {
  if (!Number.isSafeInteger(size)) throw new StoreError("invalid", "a file or NAR of 2^53 bytes or more");
  return size;
}

export function tooDeep(digest: Digest): StoreError {
  return new StoreError("invalid", `directory ${formatDigest(digest)} is inside ${MAX_TREE_DEPTH} others, too deep for a NAR`);
}
