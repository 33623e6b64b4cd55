import type { ByteRange } from "../byte-range.ts";
import { StoreError } from "../error.ts";
import { ExactPieces } from "./exact-pieces.ts";
import { coveringGroups, type GroupRange, VerifiedDescent } from "./group-tree.ts";
import { NODE_SIZE } from "./kernel/sizes.ts";
import type { Outboard } from "./outboard.ts";

/**
 * Checks a range of a blob against the blob's digest while the range is read, by means of the
 * outboard. It needs whole groups: the bytes from `start` (inclusive) to `end` (exclusive).
 *
 * The range is clamped to the content. An empty range needs the last group. The last group proves
 * the outboard's `size`, so a wrong size never shortens a range.
 *
 * The outboard need not be checked before: every node on the way is checked.
 */
export class VerifiedRange {
  /** Offset of the first byte that is needed. */
  readonly start: number;
  /** Offset after the last byte that is needed. */
  readonly end: number;
  readonly #range: GroupRange;
  readonly #outboard: Outboard;
  readonly #descent: VerifiedDescent;
  readonly #pieces = new ExactPieces();
  #failed: unknown;

  /** @param root digest of the blob @throws StoreError `invalid` if `range` is not a valid range */
  constructor(outboard: Outboard, root: Uint8Array, range: ByteRange) {
    const { size, groupSize } = outboard;
    this.#outboard = outboard;
    this.#range = coveringGroups(size, groupSize, range);
    this.#descent = new VerifiedDescent(root, size, groupSize, this.#range);
    this.start = this.#range.first * groupSize;
    this.end = Math.min(this.#range.last * groupSize, size);
  }

  /**
   * Appends the next needed bytes, in pieces of any length. Returns the bytes of the range that are
   * verified now. They are views of `bytes`, or new buffers if a group came in several pieces.
   * Holds at most one group.
   *
   * @throws StoreError `corrupt` if bytes or nodes do not match the digest, or come after the end.
   *   The call then returns nothing of `bytes`, and later calls throw the same error.
   */
  push(bytes: Uint8Array): Uint8Array[] {
    return this.#guarded(() => {
      const proven: Uint8Array[] = [];
      this.#pieces.feed(bytes);
      while (this.#descend()) {
        const offset = this.#descent.offset;
        const group = this.#pieces.take(this.#descent.groupLength);
        if (!group) return proven;
        this.#descent.takeGroup(group);
        const wanted = group.subarray(Math.max(0, this.#range.from - offset), Math.max(0, this.#range.to - offset));
        if (wanted.length > 0) proven.push(wanted);
      }
      if (this.#pieces.rest > 0) throw new StoreError("corrupt", `content goes on after the end of the range at byte ${this.end}`);
      return proven;
    });
  }

  /** Ends the range. @throws StoreError `corrupt` if needed bytes are missing */
  finish(): void {
    // An empty blob has one empty group, for which no piece comes.
    this.push(new Uint8Array(0));
    if (this.#descent.count > 0) {
      this.#failed = new StoreError("corrupt", `content ended before the end of the range at byte ${this.end}`);
      throw this.#failed;
    }
  }

  /** Walks down to the next group. Returns whether there is one. */
  #descend(): boolean {
    const { nodes } = this.#outboard;
    while (this.#descent.count > 1) {
      const at = NODE_SIZE * this.#descent.node;
      this.#descent.takeNode(nodes.subarray(at, at + NODE_SIZE));
    }
    return this.#descent.count === 1;
  }

  #guarded<T>(work: () => T): T {
    if (this.#failed) throw this.#failed;
    try {
      return work();
    } catch (error) {
      this.#failed = error;
      throw error;
    }
  }
}
