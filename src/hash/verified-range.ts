import { StoreError } from "../error.ts";
import { ExactPieces } from "./exact-pieces.ts";
import { type ByteRange, coveringGroups, type GroupRange, VerifiedDescent } from "./group-tree.ts";
import { NODE_SIZE } from "./kernel/kernel.ts";
import type { Outboard } from "./outboard.ts";

/**
 * Compares a range of a blob, as it is read, with the blob's digest, by its outboard. Needs whole groups: from `start` to before `end`.
 * A range is cut where the content ends; of one that has no bytes then, the last group is needed. Whenever the last group is, it
 * proves the outboard's `size` too; so a range is never cut short by a wrong size.
 *
 * The outboard doesn't have to be checked before: the nodes on the way are.
 */
export class VerifiedRange {
  /** Offset of the first byte that is needed. */
  readonly start: number;
  /** Offset behind the last one. */
  readonly end: number;
  readonly #range: GroupRange;
  readonly #outboard: Outboard;
  readonly #descent: VerifiedDescent;
  readonly #pieces = new ExactPieces();
  #failed: unknown;

  /** `root`: the blob's digest. @throws StoreError `invalid` for a range that can't be one */
  constructor(outboard: Outboard, root: Uint8Array, range: ByteRange) {
    const { size, groupSize } = outboard;
    this.#outboard = outboard;
    this.#range = coveringGroups(size, groupSize, range);
    this.#descent = new VerifiedDescent(root, size, groupSize, this.#range);
    this.start = this.#range.first * groupSize;
    this.end = Math.min(this.#range.last * groupSize, size);
  }

  /**
   * The next bytes of what is needed, in pieces of any length. The bytes of the range that are proven now: views of `bytes`, or new
   * buffers where a group came in several pieces. Holds one group at most.
   *
   * @throws StoreError `corrupt` for bytes or nodes that are not the blob's, or behind the end; nothing of `bytes` is handed out then,
   * and nothing later
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
      if (this.#pieces.rest > 0) throw new StoreError("corrupt", `more content came than the range up to ${this.end} has`);
      return proven;
    });
  }

  /** @throws StoreError `corrupt` if not all that is needed has come */
  finish(): void {
    // Content of no bytes comes in no pieces.
    this.push(new Uint8Array(0));
    if (this.#descent.count > 0) {
      this.#failed = new StoreError("corrupt", `content ended before all of the range up to ${this.end} had come`);
      throw this.#failed;
    }
  }

  /** Goes down to the next group, if there is one. */
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
