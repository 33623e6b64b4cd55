import type { ReadManyOptions } from "../castore/blob-service.ts";
import { type Digest, formatDigest } from "../castore/digest.ts";
import type { Node } from "../castore/node.ts";
import type { CastoreServices } from "../castore/services.ts";
import { StoreError } from "../error.ts";
import type { HashEngine } from "../hash/engine.ts";
import { checkedRange } from "../hash/group-tree.ts";
import { formatSri } from "../nix/hash.ts";
import { NAR_HEADER_SIZE } from "../nix/nar-size.ts";
import { NarWriter } from "../nix/nar-writer.ts";
import { onAbort } from "../on-abort.ts";
import type { OperationOptions } from "../progress.ts";
import { iterate, streamOf } from "../stream.ts";
import { Turn } from "../turn.ts";
import { NarPlan, NO_BLOB, type PlannedBatch } from "./nar-plan.ts";
import { NarSizes } from "./nar-sizes.ts";
import type { PathInfo } from "./path-info.ts";
import { checkNarSizeAndHash } from "./path-info-check.ts";
import type { CalculateNarThere } from "./services.ts";

export interface RenderNarOptions {
  /**
   * Part of the NAR to render, in bytes. Content before the part is not read: the directories give
   * its size.
   */
  range?: { readonly offset: number; readonly length: number } | undefined;
  signal?: AbortSignal | undefined;
}

/** Bytes between progress reports. */
const PROGRESS_STEP = 1024 * 1024;

/**
 * Renders `node` as a NAR. It reads nothing before the stream is read, and then at most some 2 MiB
 * of small files ahead. Large files pass through in the pieces in which they are stored. Pieces may
 * share buffers, so don't transfer them.
 *
 * The stream errors with `not-found` if a directory or blob is missing; `corrupt` if a file's
 * content has another length than its node states; `invalid` if directories are nested too deeply
 * for a NAR reader, or if the range is malformed.
 */
export function renderNar(castore: CastoreServices, node: Node, options: RenderNarOptions = {}): ReadableStream<Uint8Array> {
  const controller = new AbortController();
  const pieces = (async function* () {
    const unlink = onAbort(options.signal, () => controller.abort(options.signal?.reason));
    try {
      yield* narPieces(castore, node, { signal: controller.signal }, options.range);
    } finally {
      unlink();
    }
  })();
  return streamOf({
    [Symbol.asyncIterator]: () => ({
      next: () => pieces.next(),
      // A generator does not return before its current read has ended, so the abort ends that read
      // first.
      return: () => {
        controller.abort();
        return pieces.return();
      },
    }),
  });
}

/** Size of a NAR in bytes, and its SHA-256 in SRI form, as a PathInfo has them. */
export interface NarSizeAndHash {
  readonly narSize: number;
  readonly narHash: string;
}

export interface CalculateNarOptions extends OperationOptions {
  /** Phase of the progress reports; `hashing` by default. */
  phase?: string | undefined;
  /** Size of the NAR in bytes if it is already known; used for progress, and to hash faster. */
  total?: number | undefined;
  /**
   * Claimed size of the NAR in bytes. It is checked against the directories before any content is
   * read, because a few directories can describe a NAR that would take forever to hash.
   */
  claimedSize?: number | undefined;
  /** Calculates the NAR at a remote instead of in this thread, after the check of `claimedSize`. */
  there?: CalculateNarThere | undefined;
  /**
   * Whether contents may be read without a check against their digests. Only `checkNar` sets it: it
   * knows the SHA-256 that all of them together must have.
   */
  unverified?: boolean | undefined;
}

/**
 * Calculates the size and hash of `node` as a NAR, from its content.
 *
 * @throws StoreError with the codes of `renderNar`; `corrupt` if the NAR has another size than
 *   `claimedSize`
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
    if (size !== claimedSize) throw new StoreError("corrupt", `the NAR of the content has ${size} bytes, not ${claimedSize}`);
  }
  if (options.there) return options.there(node, { signal });
  const total = options.total ?? claimedSize;
  const hash = await engine.stream("sha256", { size: total });
  try {
    let narSize = 0;
    let told = 0;
    for await (const piece of narPieces(castore, node, options)) {
      await hash.update(piece);
      narSize += piece.length;
      if (narSize - told >= PROGRESS_STEP) {
        told = narSize;
        onProgress?.({ phase, unit: "bytes", loaded: narSize, total });
      }
    }
    onProgress?.({ phase, unit: "bytes", loaded: narSize, total: narSize });
    return { narSize, narHash: formatSri({ algorithm: "sha256", digest: await hash.digest() }) };
  } catch (error) {
    hash.abort();
    throw error;
  }
}

/**
 * Checks that the content of `info` has the NAR size and NAR hash that `info` states. The NAR hash
 * covers every byte that is read, so the contents are not hashed with BLAKE3 too. If the NAR hash
 * differs, and was calculated in this thread, everything is read again and also hashed with BLAKE3.
 * This finds out whether the store is damaged.
 *
 * @throws StoreError with the codes of `calculateNar`; `corrupt` if the size or the hash differs
 */
export async function checkNar(
  castore: CastoreServices,
  engine: HashEngine,
  info: Pick<PathInfo, "storePath" | "node" | keyof NarSizeAndHash>,
  options: Omit<CalculateNarOptions, "claimedSize" | "unverified"> = {},
): Promise<void> {
  const calculate = (unverified: boolean): Promise<NarSizeAndHash> =>
    calculateNar(castore, engine, info.node, { ...options, claimedSize: info.narSize, unverified });
  let nar = await calculate(true);
  if (nar.narHash !== info.narHash && !options.there) nar = await calculate(false);
  checkNarSizeAndHash(info, nar);
}

/**
 * Returns the size of `node` as a NAR in bytes, from its directories alone.
 *
 * @throws StoreError `not-found` if a directory is missing; `invalid` if the size is 2^53 bytes or
 *   more, or if the tree is too deep
 */
export async function narSize(
  castore: CastoreServices,
  node: Node,
  options: { signal?: AbortSignal | undefined } = {},
): Promise<number> {
  return NAR_HEADER_SIZE + (await NarSizes.read(castore, node, options)).of(node);
}

function missingBlob(digest: Digest): StoreError {
  return new StoreError("not-found", `blob ${formatDigest(digest)} is missing from the store`);
}

/** Cuts a range out of consecutive pieces. */
class Cut {
  readonly from: number;
  readonly to: number;
  #at = 0;

  constructor(from: number, length: number) {
    this.from = from;
    this.to = from + length;
  }

  get isDone(): boolean {
    return this.#at >= this.to;
  }

  /** Advances past bytes that come before the range and were not rendered. */
  skip(length: number): void {
    this.#at += length;
  }

  /** Returns the parts of `pieces` that are in the range, and empties `pieces`. */
  take(pieces: Uint8Array[]): Uint8Array[] {
    const taken: Uint8Array[] = [];
    for (const piece of pieces.splice(0)) {
      const wanted = piece.subarray(Math.max(0, this.from - this.#at), Math.max(0, this.to - this.#at));
      this.#at += piece.length;
      if (wanted.length > 0) taken.push(wanted);
    }
    return taken;
  }
}

/**
 * Yields the NAR of `node`, or a part of it. Pieces have up to some 64 KiB, or the size of a blob's
 * own pieces.
 */
async function* narPieces(
  castore: CastoreServices,
  node: Node,
  { signal, unverified }: ReadManyOptions,
  range: RenderNarOptions["range"] = { offset: 0, length: Number.POSITIVE_INFINITY },
): AsyncGenerator<Uint8Array> {
  if (checkedRange(range).length === 0) return;
  const sizes = range.offset > 0 ? await NarSizes.read(castore, node, { signal }) : undefined;
  const pieces: Uint8Array[] = [];
  const writer = new NarWriter((piece) => pieces.push(piece));
  const plan = new NarPlan(castore, node, { signal, unverified }, sizes && { sizes, offset: range.offset });
  let cut: Cut | undefined;
  const turn = new Turn();
  try {
    let ahead = plan.next();
    ahead.catch(() => {});
    for (;;) {
      await turn.pass();
      signal?.throwIfAborted();
      const batch = await ahead;
      if (!batch) break;
      // The plan skipped entries before the first batch. The writer does not count their bytes, so
      // the range begins earlier for it.
      cut ??= new Cut(range.offset - plan.skipped, range.length);
      const contents = await batch.contents;
      // The next batch is read while this one is written.
      ahead = plan.next();
      ahead.catch(() => {});
      writeSteps(writer, batch, contents);
      yield* cut.take(pieces);
      if (cut.isDone) return;
      if (!batch.large) continue;
      const size = Number(batch.large.size);
      const start = Math.min(size, Math.max(0, cut.from - writer.bytesWritten));
      const end = Math.min(size, Math.max(start, cut.to - writer.bytesWritten));
      // No loop: a URL can claim a file of any size, and so any number of bytes before the range.
      if (start > 0) {
        writer.skipContent(start);
        yield* cut.take(pieces);
        cut.skip(start);
      }
      if (start < end) {
        // Without a range, the whole blob is read, which reveals surplus bytes.
        const part = end - start < size ? { offset: start, length: end - start } : {};
        const content = await castore.blobs.open(batch.large.digest, { ...part, unverified, signal });
        if (!content) throw missingBlob(batch.large.digest);
        for await (const piece of iterate(content, signal)) {
          await turn.pass();
          writer.content(piece);
          yield* cut.take(pieces);
        }
      }
      if (end < size) {
        // The range ends here, in bytes that the writer may still hold.
        writer.flush();
        yield* cut.take(pieces);
        if (cut.isDone) return;
        const { digest } = batch.large;
        throw new StoreError("corrupt", `blob ${formatDigest(digest)} is shorter than the ${size} bytes that its node states`);
      }
      writer.endFile();
    }
    writer.end();
    if (cut) yield* cut.take(pieces);
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
