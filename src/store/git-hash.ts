import { compareBytes, EMPTY_BYTES, utf8 } from "../bytes.ts";
import { type Digest, formatDigest } from "../castore/digest.ts";
import type { FileNode, Node } from "../castore/node.ts";
import type { CastoreServices } from "../castore/services.ts";
import { StoreError } from "../error.ts";
import type { HashEngine } from "../hash/engine.ts";
import { createLocalHashStream } from "../hash/hash-stream.ts";
import { iterate } from "../stream.ts";
import { Turn } from "../turn.ts";
import { NarPlan, NO_BLOB, type PlannedBatch } from "./nar-plan.ts";

/** The hash algorithms of git objects. */
export type GitHashAlgorithm = "sha1" | "sha256";

/** Modes of tree entries in git's format. */
const DIRECTORY = "40000";
const REGULAR = "100644";
const EXECUTABLE = "100755";
const SYMLINK = "120000";

interface TreeEntry {
  readonly name: Uint8Array;
  readonly mode: string;
  readonly digest: Uint8Array;
}

/** A directory whose entries are being hashed, with its own name. */
interface OpenTree {
  readonly name: Uint8Array;
  readonly entries: TreeEntry[];
}

/**
 * Calculates the git object id of `node`: a blob for a file, a blob with the target for a symlink,
 * a tree for a directory. As in Nix, an empty directory is a tree without entries. If the root is a
 * file, the id does not cover its executable bit.
 *
 * Memory: the entries of the current directory and its ancestors, and one batch of small files.
 *
 * @throws StoreError `not-found` if content is missing; `corrupt` if a file has another length than
 *   its node states; `invalid` if the tree is too deep
 */
export async function gitHash(
  castore: CastoreServices,
  engine: HashEngine,
  node: Node,
  algorithm: GitHashAlgorithm,
  { signal }: { signal?: AbortSignal | undefined } = {},
): Promise<Uint8Array> {
  const plan = new NarPlan(castore, node, { signal });
  const hasher = new ObjectHasher(castore, engine, algorithm, signal);
  const open: OpenTree[] = [];
  let root: Uint8Array | undefined;
  const add = (entry: TreeEntry): void => {
    const parent = open.at(-1);
    if (parent) parent.entries.push(entry);
    else root = entry.digest;
  };
  const turn = new Turn();
  try {
    for (let batch = await plan.next(); batch; batch = await plan.next()) {
      const contents = await batch.contents;
      for (const step of batch.steps) {
        await turn.pass();
        signal?.throwIfAborted();
        if (step === "leave") {
          const { name, entries } = open.pop() as OpenTree;
          add({ name, mode: DIRECTORY, digest: await hasher.tree(entries) });
          continue;
        }
        const { name = EMPTY_BYTES, node } = step;
        if (node.kind === "directory") open.push({ name, entries: [] });
        else if (node.kind === "symlink") add({ name, mode: SYMLINK, digest: await hasher.blob(node.target) });
        else {
          const digest =
            node === batch.large ? await hasher.file(node) : await hasher.blob(contentOf(node, step.blob, batch, contents));
          add({ name, mode: node.executable ? EXECUTABLE : REGULAR, digest });
        }
      }
    }
  } finally {
    plan.close();
  }
  if (!root) throw new StoreError("internal", "a tree ended without a root");
  return root;
}

function contentOf(
  { digest, size }: FileNode,
  blob: number,
  batch: PlannedBatch,
  contents: readonly (Uint8Array | undefined)[],
): Uint8Array {
  if (blob === NO_BLOB) return EMPTY_BYTES;
  const content = contents[blob];
  if (!content) throw missing(batch.blobs[blob] as Digest);
  if (BigInt(content.length) !== size) throw otherSize(digest, content.length, size);
  return content;
}

class ObjectHasher {
  readonly #castore: CastoreServices;
  readonly #engine: HashEngine;
  readonly #algorithm: GitHashAlgorithm;
  readonly #signal: AbortSignal | undefined;

  constructor(castore: CastoreServices, engine: HashEngine, algorithm: GitHashAlgorithm, signal: AbortSignal | undefined) {
    this.#castore = castore;
    this.#engine = engine;
    this.#algorithm = algorithm;
    this.#signal = signal;
  }

  blob(content: Uint8Array): Promise<Uint8Array> {
    return this.#object("blob", content);
  }

  /** Hashes a file that is too large to be read at once. */
  async file({ digest, size }: FileNode): Promise<Uint8Array> {
    const content = await this.#castore.blobs.open(digest, { signal: this.#signal });
    if (!content) throw missing(digest);
    const hash = await this.#engine.stream(this.#algorithm);
    const turn = new Turn();
    let length = 0;
    try {
      await hash.update(header("blob", size));
      for await (const piece of iterate(content, this.#signal)) {
        length += piece.length;
        if (length > size) break;
        await hash.update(piece);
        await turn.pass();
      }
      if (BigInt(length) !== size) throw otherSize(digest, length, size);
      return await hash.digest();
    } catch (error) {
      hash.abort();
      throw error;
    }
  }

  /** @param entries in any order; sorted in place */
  tree(entries: TreeEntry[]): Promise<Uint8Array> {
    entries.sort(compareEntries);
    const length = entries.reduce((sum, { name, mode, digest }) => sum + mode.length + name.length + 2 + digest.length, 0);
    const body = new Uint8Array(length);
    let at = 0;
    const put = (bytes: Uint8Array): void => {
      body.set(bytes, at);
      at += bytes.length;
    };
    for (const { name, mode, digest } of entries) {
      put(utf8(`${mode} `));
      put(name);
      // The body is zero-filled, and a zero byte ends the name.
      at += 1;
      put(digest);
    }
    return this.#object("tree", body);
  }

  /** Hashes a small object in this thread: a round trip to a worker takes longer than the hash. */
  async #object(type: "blob" | "tree", content: Uint8Array): Promise<Uint8Array> {
    const hash = await createLocalHashStream(this.#algorithm);
    try {
      hash.update(header(type, content.length));
      hash.update(content);
      return await hash.digest();
    } catch (error) {
      hash.abort();
      throw error;
    }
  }
}

function header(type: "blob" | "tree", length: number | bigint): Uint8Array {
  return utf8(`${type} ${length}\0`);
}

const SLASH = 0x2f;

/** Compares in git's order, which treats a directory as if a slash followed its name. */
function compareEntries(a: TreeEntry, b: TreeEntry): number {
  const length = Math.min(a.name.length, b.name.length);
  const prefix = compareBytes(a.name.subarray(0, length), b.name.subarray(0, length));
  return prefix !== 0 ? prefix : byteAt(a, length) - byteAt(b, length);
}

/**
 * Returns the byte at `index`. The end of a name that is not a directory's sorts before all bytes.
 */
function byteAt({ name, mode }: TreeEntry, index: number): number {
  return name[index] ?? (mode === DIRECTORY ? SLASH : -1);
}

function missing(digest: Digest): StoreError {
  return new StoreError("not-found", `blob ${formatDigest(digest)} is missing from the store`);
}

function otherSize(digest: Digest, length: number, size: bigint): StoreError {
  return new StoreError("corrupt", `blob ${formatDigest(digest)} has ${length} bytes, but its node states ${size}`);
}
