import { toBase64 } from "../bytes.ts";
import { StoreError } from "../error.ts";
import { kernel } from "./blake3.ts";
import { ExactPieces } from "./exact-pieces.ts";
import { type ByteRange, coveringGroups, type GroupRange, groupCount, leftCount, VerifiedDescent } from "./group-tree.ts";
import { CHUNK_SIZE, GROUP_SIZE, NODE_SIZE } from "./kernel/kernel.ts";
import { encodeHeader, type Outboard } from "./outboard.ts";

export interface SliceSource {
  /** The blob's digest. */
  readonly root: Uint8Array;
  readonly outboard: Outboard;
  /** `length` bytes of the content from `offset`, in pieces of any length. Called once; not at all for content of no bytes. */
  read(offset: number, length: number): AsyncIterable<Uint8Array>;
}

const PIECE_SIZE = 256 * 1024;

/**
 * The slice of a blob that proves `range` (docs/verified-streaming.md), in pieces of 256 KiB that are the caller's. Reads the outboard's
 * groups that the range touches, whole: their nodes over groups of 16 KiB are made of their content. Holds one such group (1 MiB at
 * most), and what it adds to the slice.
 *
 * Whatever is sent was compared with the digest, nodes too: a slice ends with an error rather than with bytes that no reader takes.
 *
 * @throws StoreError `invalid` for a range that can't be one; `corrupt` if content or outboard are not the blob's
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
  return new StoreError("corrupt", `reading blob b3:${toBase64(root)} up to ${end} gave another number of bytes`);
}

/** Of a stored group what is in `sent`, a range of groups of 16 KiB, with the nodes above it, in pre-order. */
function writeGroup(descent: VerifiedDescent, bytes: Uint8Array, sent: GroupRange, output: PieceWriter): void {
  const first = descent.offset / GROUP_SIZE;
  if (bytes.length <= GROUP_SIZE) {
    descent.takeGroup(bytes);
    output.write(bytes);
    return;
  }
  const { digest, nodes } = kernel.outboard(bytes, { chunk: descent.offset / CHUNK_SIZE, root: descent.isRoot });
  descent.takeValue(digest);
  /** `post`: number of the subtree's first node; its last one, the topmost, is `count - 2` behind. */
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

/** Puts bytes together to pieces of one size. */
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
