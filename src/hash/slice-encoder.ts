import type { ByteRange } from "../byte-range.ts";
import { toBase64 } from "../bytes.ts";
import { StoreError } from "../error.ts";
import { kernel } from "./blake3.ts";
import { ExactPieces } from "./exact-pieces.ts";
import { coveringGroups, type GroupRange, groupCount, leftCount, VerifiedDescent } from "./group-tree.ts";
import { CHUNK_SIZE, GROUP_SIZE, NODE_SIZE } from "./kernel/sizes.ts";
import { encodeHeader, type Outboard } from "./outboard.ts";

export interface SliceSource {
  /** Digest of the blob. */
  readonly root: Uint8Array;
  readonly outboard: Outboard;
  /**
   * Reads `length` bytes of the content from `offset`, in pieces of any length. Called once, or
   * never for empty content.
   */
  read(offset: number, length: number): AsyncIterable<Uint8Array>;
}

const PIECE_SIZE = 256 * 1024;

/**
 * Yields the slice of a blob that proves `range` (docs/verified-streaming.md), in pieces of 256 KiB
 * that the caller may keep. It reads whole groups of the outboard that the range touches, and
 * computes the nodes over groups of 16 KiB from their content. Holds one group of the outboard (at
 * most 1 MiB) and the part of the slice that the group adds.
 *
 * All nodes and bytes are checked against the digest before they are sent. So a slice ends with an
 * error instead of sending bytes that no reader accepts.
 *
 * @throws StoreError `invalid` if `range` is not a valid range; `corrupt` if content or outboard do
 *   not match the digest
 */
export async function* encodeSlice(source: SliceSource, range: ByteRange): AsyncGenerator<Uint8Array, void, undefined> {
  const { root, outboard } = source;
  const { size, groupSize, nodes } = outboard;
  const stored = coveringGroups(size, groupSize, range);
  const sent = coveringGroups(size, GROUP_SIZE, range);
  const descent = new VerifiedDescent(root, size, groupSize, stored);
  const output = new PieceWriter(PIECE_SIZE);
  output.write(encodeHeader(size, GROUP_SIZE));

  const takeNodes = (): void => {
    while (descent.count > 1) {
      const node = nodes.subarray(NODE_SIZE * descent.node, NODE_SIZE * (descent.node + 1));
      descent.takeNode(node);
      output.write(node);
    }
  };
  const pieces = new ExactPieces();
  /** Writes the groups that have come. */
  const takeGroups = function* (): Generator<Uint8Array, void, undefined> {
    for (;;) {
      takeNodes();
      const group = descent.count === 1 ? pieces.take(descent.groupLength) : undefined;
      if (!group) return;
      writeGroup(descent, group, sent, output);
      yield* output.full();
    }
  };

  const start = stored.first * groupSize;
  const end = Math.min(stored.last * groupSize, size);
  if (start < end) {
    for await (const piece of source.read(start, end - start)) {
      pieces.feed(piece);
      yield* takeGroups();
      if (descent.count === 0 && pieces.rest > 0) throw lengthError(root, end);
    }
  } else {
    yield* takeGroups();
  }
  if (descent.count > 0) throw lengthError(root, end);
  yield* output.end();
}

function lengthError(root: Uint8Array, end: number): StoreError {
  return new StoreError("corrupt", `reading blob b3:${toBase64(root)} up to byte ${end} gave too many or too few bytes`);
}

/**
 * Writes the part of a stored group that lies in `sent` (a range of 16 KiB groups), with the nodes
 * above it, in pre-order.
 */
function writeGroup(descent: VerifiedDescent, bytes: Uint8Array, sent: GroupRange, output: PieceWriter): void {
  const first = descent.offset / GROUP_SIZE;
  if (bytes.length <= GROUP_SIZE) {
    descent.takeGroup(bytes);
    output.write(bytes);
    return;
  }
  const { digest, nodes } = kernel.outboard(bytes, { chunk: descent.offset / CHUNK_SIZE, root: descent.isRoot });
  descent.takeValue(digest);
  /**
   * `post` is the index of the subtree's first node. Its top node is its last one, at `post + count
   * - 2`.
   */
  const write = (start: number, count: number, post: number): void => {
    if (start >= sent.last || start + count <= sent.first) return;
    if (count === 1) {
      const at = (start - first) * GROUP_SIZE;
      output.write(bytes.subarray(at, at + GROUP_SIZE));
      return;
    }
    const top = NODE_SIZE * (post + count - 2);
    output.write(nodes.subarray(top, top + NODE_SIZE));
    const left = leftCount(count);
    write(start, left, post);
    write(start + left, count - left, post + left - 1);
  };
  write(first, groupCount(bytes.length, GROUP_SIZE), 0);
}

/** Collects bytes into pieces of one size. */
class PieceWriter {
  readonly #size: number;
  #piece: Uint8Array;
  #filled = 0;
  #full: Uint8Array[] = [];

  constructor(size: number) {
    this.#size = size;
    this.#piece = new Uint8Array(size);
  }

  write(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      const part = bytes.subarray(at, at + this.#size - this.#filled);
      this.#piece.set(part, this.#filled);
      this.#filled += part.length;
      at += part.length;
      if (this.#filled === this.#size) {
        this.#full.push(this.#piece);
        this.#piece = new Uint8Array(this.#size);
        this.#filled = 0;
      }
    }
  }

  full(): Uint8Array[] {
    return this.#full.splice(0);
  }

  end(): Uint8Array[] {
    return this.#filled > 0 ? [...this.full(), this.#piece.slice(0, this.#filled)] : this.full();
  }
}
