import { type Digest, digestKey, formatDigest } from "../castore/digest.ts";
import type { DirectoryEntry } from "../castore/directory.ts";
import { MAX_TREE_DEPTH } from "../castore/ingest.ts";
import type { Node } from "../castore/node.ts";
import type { CastoreServices } from "../castore/services.ts";
import { StoreError } from "../error.ts";
import type { HashEngine } from "../hash/engine.ts";
import { formatSri } from "../nix/hash.ts";
import { NAR_DIRECTORY_SIZE, NAR_HEADER_SIZE, narEntrySize, narFileSize, narSymlinkSize } from "../nix/nar-size.ts";
import { NarWriter } from "../nix/nar-writer.ts";
import type { OperationOptions } from "../progress.ts";
import { iterate, streamOf } from "../stream.ts";
import { DirectoryReader } from "./directory-reader.ts";
import { checkNarSize, NarPlan, NO_BLOB, type PlannedBatch, tooDeep } from "./nar-plan.ts";

/** Progress is told this often, in bytes. */
const PROGRESS_STEP = 1024 * 1024;

/**
 * `node` as a NAR. Nothing is read before the stream is, and then at most some 2 MiB of small files ahead of it; large files pass
 * through in the pieces in which they are stored. Pieces may be views of one another's buffers, so they are not to be transferred.
 *
 * The stream errors with `not-found` if a directory or blob is missing, `corrupt` if a file's content has another length than its
 * node says, `invalid` if directories are nested too deeply for a NAR reader.
 */
export function renderNar(
  castore: CastoreServices,
  node: Node,
  options: { signal?: AbortSignal | undefined } = {},
): ReadableStream<Uint8Array> {
  const controller = new AbortController();
  const abort = (): void => controller.abort(options.signal?.reason);
  const pieces = (async function* () {
    if (options.signal?.aborted) abort();
    options.signal?.addEventListener("abort", abort);
    try {
      yield* narPieces(castore, node, controller.signal);
    } finally {
      options.signal?.removeEventListener("abort", abort);
    }
  })();
  return streamOf({
    [Symbol.asyncIterator]: () => ({
      next: () => pieces.next(),
      // A generator does not return before its current read is over, so that is ended first.
      return: () => {
        controller.abort();
        return pieces.return();
      },
    }),
  });
}

/** Bytes of a NAR and its SHA-256 in SRI form, as a PathInfo has them. */
export interface NarSizeAndHash {
  readonly narSize: number;
  readonly narHash: string;
}

export interface CalculateNarOptions extends OperationOptions {
  /** Of the progress that is told; `hashing` if it isn't given. */
  phase?: string | undefined;
  /** The size, where it is known already: for the progress alone. */
  total?: number | undefined;
  /**
   * The size that somebody claims. Checked, from the directories alone, before any content is read: a few of them can make up a NAR
   * that nobody would live to see the end of.
   */
  claimedSize?: number | undefined;
}

/**
 * Size and hash of `node` as a NAR, from its content. Rejects where the stream of `renderNar` errors, and with `corrupt` if the size
 * is not the one that was claimed.
 */
export async function calculateNar(
  castore: CastoreServices,
  engine: HashEngine,
  node: Node,
  options: CalculateNarOptions = {},
): Promise<NarSizeAndHash> {
  const { signal, onProgress, phase = "hashing", claimedSize } = options;
  if (claimedSize !== undefined) {
    const size = await narSize(castore, node, { signal });
    if (size !== claimedSize) throw new StoreError("corrupt", `the content makes a NAR of ${size} bytes, not of ${claimedSize}`);
  }
  const total = options.total ?? claimedSize;
  const hash = await engine.stream("sha256");
  try {
    let narSize = 0;
    let told = 0;
    for await (const piece of narPieces(castore, node, signal)) {
      await hash.update(piece);
      narSize += piece.length;
      if (narSize - told >= PROGRESS_STEP) {
        told = narSize;
        onProgress?.({ phase, loaded: narSize, total });
      }
    }
    onProgress?.({ phase, loaded: narSize, total: narSize });
    return { narSize, narHash: formatSri({ algorithm: "sha256", digest: await hash.digest() }) };
  } catch (error) {
    hash.abort();
    throw error;
  }
}

/** Bytes that `node` has as a NAR, from its directories alone. @throws StoreError `not-found`, or `invalid` for 2^53 and more */
export async function narSize(
  castore: CastoreServices,
  node: Node,
  options: { signal?: AbortSignal | undefined } = {},
): Promise<number> {
  if (node.kind !== "directory") return NAR_HEADER_SIZE + leafSize(node);
  const reader = new DirectoryReader(castore.directories, node.digest, options.signal);
  // The same directory is counted once and added often: a tree can be far larger than what it is made of.
  const sizes = new Map<string, number>();
  const stack: SizeFrame[] = [];
  const enter = async (digest: Digest): Promise<void> => {
    if (stack.length > MAX_TREE_DEPTH) throw tooDeep(digest);
    const directory = reader.kept(digest) ?? (await reader.read(digest));
    stack.push({ key: digestKey(digest), entries: directory.entries, next: 0, size: NAR_DIRECTORY_SIZE });
  };
  try {
    await enter(node.digest);
    for (let top = stack.at(-1); top; top = stack.at(-1)) {
      const entry = top.entries[top.next];
      if (!entry) {
        stack.pop();
        sizes.set(top.key, top.size);
        continue;
      }
      const known = entry.node.kind === "directory" ? sizes.get(digestKey(entry.node.digest)) : leafSize(entry.node);
      if (known === undefined) {
        await enter((entry.node as Node & { kind: "directory" }).digest);
        continue;
      }
      top.size = checkNarSize(top.size + narEntrySize(entry.name.length) + known);
      top.next++;
    }
    return NAR_HEADER_SIZE + (sizes.get(digestKey(node.digest)) as number);
  } finally {
    await reader.close();
  }
}

interface SizeFrame {
  readonly key: string;
  readonly entries: readonly DirectoryEntry[];
  next: number;
  size: number;
}

function leafSize(node: Exclude<Node, { kind: "directory" }>): number {
  return node.kind === "symlink"
    ? narSymlinkSize(node.target.length)
    : narFileSize(checkNarSize(Number(node.size)), node.executable);
}

function missingBlob(digest: Digest): StoreError {
  return new StoreError("not-found", `blob ${formatDigest(digest)} is missing from the store`);
}

/**
 * In milliseconds. Where all is in memory, a walk never waits for anything but promises, and neither an abort nor anybody else's
 * request would get a turn.
 */
const LONGEST_TURN = 50;

/** The NAR of `node` in pieces of up to some 64 KiB, or as large as a blob's own are. */
async function* narPieces(castore: CastoreServices, node: Node, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
  const pieces: Uint8Array[] = [];
  const writer = new NarWriter((piece) => pieces.push(piece));
  const plan = new NarPlan(castore, node, signal);
  let turned = performance.now();
  try {
    let ahead = plan.next();
    for (;;) {
      if (performance.now() - turned > LONGEST_TURN) {
        await new Promise((resolve) => setTimeout(resolve, 0));
        turned = performance.now();
      }
      signal?.throwIfAborted();
      const batch = await ahead;
      if (!batch) break;
      const contents = await batch.contents;
      // The next batch is read while this one is written.
      ahead = plan.next();
      ahead.catch(() => {});
      writeSteps(writer, batch, contents);
      yield* pieces.splice(0);
      if (!batch.large) continue;
      const content = await castore.blobs.open(batch.large.digest, { signal });
      if (!content) throw missingBlob(batch.large.digest);
      for await (const piece of iterate(content, signal)) {
        writer.content(piece);
        yield* pieces.splice(0);
      }
      writer.endFile();
    }
    writer.end();
    yield* pieces;
  } finally {
    plan.close();
  }
}

function writeSteps(writer: NarWriter, { steps, blobs, large }: PlannedBatch, contents: readonly (Uint8Array | undefined)[]): void {
  for (const step of steps) {
    if (step === "leave") {
      writer.leave();
      continue;
    }
    const { name, node, blob } = step;
    if (name) writer.entry(name);
    if (node.kind === "directory") writer.directory();
    else if (node.kind === "symlink") writer.symlink(node.target);
    else {
      writer.file(Number(node.size), node.executable);
      if (node === large) return;
      if (blob !== NO_BLOB) {
        const content = contents[blob];
        if (!content) throw missingBlob(blobs[blob] as Digest);
        writer.content(content);
      }
      writer.endFile();
    }
  }
}
