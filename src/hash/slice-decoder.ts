import type { ByteRange } from "../byte-range.ts";
import { StoreError } from "../error.ts";
import { ExactPieces } from "./exact-pieces.ts";
import { checkedRange, coveringGroups, type GroupRange, groupCount, VerifiedDescent } from "./group-tree.ts";
import { GROUP_SIZE, NODE_SIZE } from "./kernel/sizes.ts";
import { decodeHeader, HEADER_SIZE } from "./outboard.ts";

/**
 * Reads a slice (docs/verified-streaming.md). It returns only bytes that are proven to be the
 * blob's at their offset. The sender needs no trust: memory is bounded by one group and one value
 * per level of the tree, whatever the sender claims.
 *
 * A wrong size in the header can neither change nor remove bytes of the range. If the size would
 * shorten the range, the slice includes the last group. The place and length of that group are part
 * of its hash. If the range ends earlier, a wrong size may go unnoticed: see `provesSize`.
 */
export class SliceDecoder {
  readonly #root: Uint8Array;
  readonly #wanted: ByteRange;
  readonly #pieces = new ExactPieces();
  #size: number | undefined;
  #range: GroupRange | undefined;
  #descent: VerifiedDescent | undefined;
  #failed: unknown;

  /** @param root digest of the blob @throws StoreError `invalid` if `range` is not a valid range */
  constructor(root: Uint8Array, range: ByteRange) {
    this.#root = root.slice();
    this.#wanted = checkedRange({ offset: range.offset, length: range.length });
  }

  /**
   * Length of the content as the header gives it; `undefined` before the header has come. Proven
   * only if `provesSize` is true.
   */
  get size(): number | undefined {
    return this.#size;
  }

  /**
   * Whether the slice includes the last group. If it does, `size` is proven once `finish` returns.
   */
  get provesSize(): boolean {
    return this.#range !== undefined && this.#range.last === groupCount(this.#size as number, GROUP_SIZE);
  }

  /**
   * Appends the next bytes of the slice, in pieces of any length. Returns the bytes of the range
   * that are verified now. They are views of `bytes`, or new buffers if a group came in several
   * pieces.
   *
   * @throws StoreError `invalid` if the header is not valid in version 1; `corrupt` if nodes or
   *   content do not match the digest, or bytes come after the end. The call then returns nothing
   *   of `bytes`, and later calls throw the same error.
   */
  push(bytes: Uint8Array): Uint8Array[] {
    if (this.#failed) throw this.#failed;
    try {
      this.#pieces.feed(bytes);
      return this.#proven();
    } catch (error) {
      this.#failed = error;
      throw error;
    }
  }

  /** Ends the slice. @throws StoreError `corrupt` if the slice is cut short */
  finish(): void {
    if (this.#failed) throw this.#failed;
    if (this.#descent?.count === 0) return;
    this.#failed = new StoreError(
      "corrupt",
      `a slice ends before the bytes at offset ${this.#descent?.offset ?? this.#wanted.offset}`,
    );
    throw this.#failed;
  }

  #proven(): Uint8Array[] {
    const proven: Uint8Array[] = [];
    if (!this.#descent) {
      const header = this.#pieces.take(HEADER_SIZE);
      if (!header) return proven;
      this.#begin(header);
    }
    const descent = this.#descent as unknown as VerifiedDescent;
    const { from, to } = this.#range as GroupRange;
    while (descent.count > 0) {
      const isNode = descent.count > 1;
      const item = this.#pieces.take(isNode ? NODE_SIZE : descent.groupLength);
      if (!item) return proven;
      if (isNode) {
        descent.takeNode(item);
        continue;
      }
      const { offset } = descent;
      descent.takeGroup(item);
      const wanted = item.subarray(Math.max(0, from - offset), Math.max(0, to - offset));
      if (wanted.length > 0) proven.push(wanted);
    }
    if (this.#pieces.rest > 0) throw new StoreError("corrupt", "a slice has bytes after its end");
    return proven;
  }

  #begin(header: Uint8Array): void {
    const { size, groupSize } = decodeHeader(header);
    if (groupSize !== GROUP_SIZE)
      throw new StoreError("invalid", `a slice must have groups of ${GROUP_SIZE} bytes, not ${groupSize}`);
    this.#size = size;
    this.#range = coveringGroups(size, GROUP_SIZE, this.#wanted);
    this.#descent = new VerifiedDescent(this.#root, size, GROUP_SIZE, this.#range);
  }
}
