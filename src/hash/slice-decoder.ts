import { StoreError } from "../error.ts";
import { ExactPieces } from "./exact-pieces.ts";
import { type ByteRange, checkedRange, coveringGroups, type GroupRange, groupCount, VerifiedDescent } from "./group-tree.ts";
import { GROUP_SIZE, NODE_SIZE } from "./kernel/kernel.ts";
import { decodeHeader, HEADER_SIZE } from "./outboard.ts";

/**
 * Reads a slice (docs/verified-streaming.md) and hands out nothing that is not proven to be the blob's at its offset. The sender needs
 * no trust: memory is bounded by one group and one value for each level of the tree, whatever it claims.
 *
 * A wrong size in the header can't make other bytes of the range's, nor fewer: where it would cut the range, the last group is part of
 * the slice, and its place in the tree, the length included, is part of what is hashed. Where the range ends before, a wrong size may
 * go unnoticed: see `provesSize`.
 */
export class SliceDecoder {
  readonly #root: Uint8Array;
  readonly #wanted: ByteRange;
  readonly #pieces = new ExactPieces();
  #size: number | undefined;
  #range: GroupRange | undefined;
  #descent: VerifiedDescent | undefined;
  #failed: unknown;

  /** `root`: the blob's digest. @throws StoreError `invalid` for a range that can't be one */
  constructor(root: Uint8Array, range: ByteRange) {
    this.#root = root.slice();
    this.#wanted = checkedRange({ offset: range.offset, length: range.length });
  }

  /** The content's length, as the header has it; `undefined` until that has come. Proven only if `provesSize`. */
  get size(): number | undefined {
    return this.#size;
  }

  /** Whether the slice has the last group, so that `size` is proven when `finish` doesn't throw. */
  get provesSize(): boolean {
    return this.#range !== undefined && this.#range.last === groupCount(this.#size as number, GROUP_SIZE);
  }

  /**
   * The next bytes of the slice, in pieces of any length. The bytes of the range that are proven now: views of `bytes`, or new buffers
   * where a group came in several pieces.
   *
   * @throws StoreError `invalid` for a header that version 1 doesn't have, `corrupt` for nodes or content that are not the blob's, or
   * bytes behind the end; nothing of `bytes` is handed out then, and nothing later
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

  /** @throws StoreError `corrupt` if the slice was cut short */
  finish(): void {
    if (this.#failed) throw this.#failed;
    if (this.#descent?.count === 0) return;
    this.#failed = new StoreError(
      "corrupt",
      `a slice was cut short before the bytes at ${this.#descent?.offset ?? this.#wanted.offset}`,
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
    if (this.#pieces.rest > 0) throw new StoreError("corrupt", "a slice goes on behind its end");
    return proven;
  }

  #begin(header: Uint8Array): void {
    const { size, groupSize } = decodeHeader(header);
    if (groupSize !== GROUP_SIZE) throw new StoreError("invalid", `a slice has groups of ${GROUP_SIZE} bytes, not ${groupSize}`);
    this.#size = size;
    this.#range = coveringGroups(size, GROUP_SIZE, this.#wanted);
    this.#descent = new VerifiedDescent(this.#root, size, GROUP_SIZE, this.#range);
  }
}
