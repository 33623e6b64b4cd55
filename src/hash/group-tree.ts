import type { ByteRange } from "../byte-range.ts";
import { equalBytes, toBase64 } from "../bytes.ts";
import { StoreError } from "../error.ts";
import { kernel } from "./blake3.ts";
import { CHUNK_SIZE, DIGEST_SIZE, NODE_SIZE } from "./kernel/sizes.ts";

/**
 * BLAKE3's tree above groups of chunks. The number of chunks in a group is a power of two. The
 * leaves are the groups of the content. The last group may be shorter, and empty content has one
 * empty group. Of `n` groups, the left subtree has the largest power of two that is less than `n`.
 * So the tree is BLAKE3's own tree, cut off at the subtrees that are as large as a group.
 */

/** A range of content, and the groups that prove it. */
export interface GroupRange {
  /** Index of the first group. */
  readonly first: number;
  /** Index after the last group. */
  readonly last: number;
  /** The requested bytes of the content: `from` (inclusive) to `to` (exclusive). */
  readonly from: number;
  readonly to: number;
}

export function groupCount(size: number, groupSize: number): number {
  return Math.max(1, Math.ceil(size / groupSize));
}

/**
 * Number of groups in the left subtree of a tree over `count` groups. `count` must be at least 2.
 */
export function leftCount(count: number): number {
  // 32 bits are too few: content of 2^53 bytes has 2^39 groups.
  let left = 1;
  while (2 * left < count) left *= 2;
  return left;
}

/**
 * The groups that `range` touches, and the range clamped to the content. An empty range, or one
 * after the end, gives the last group, which proves the content's length.
 *
 * @throws StoreError `invalid` if `range` is not a valid range
 */
export function coveringGroups(size: number, groupSize: number, range: ByteRange): GroupRange {
  const { offset, length } = checkedRange(range);
  const from = Math.min(offset, size);
  const to = from + Math.min(length, size - from);
  if (from < to) return { first: Math.floor(from / groupSize), last: Math.ceil(to / groupSize), from, to };
  const count = groupCount(size, groupSize);
  return { first: count - 1, last: count, from, to };
}

/**
 * Checks that offset and length are whole numbers and not negative; the length may be infinite.
 *
 * @throws StoreError `invalid` if they are not
 */
export function checkedRange(range: ByteRange): ByteRange {
  const { offset, length } = range;
  if (
    !Number.isSafeInteger(offset) ||
    offset < 0 ||
    !(Number.isSafeInteger(length) || length === Number.POSITIVE_INFINITY) ||
    length < 0
  )
    throw new StoreError("invalid", `a range of ${length} bytes at offset ${offset} is not valid`);
  return range;
}

interface Subtree {
  /** Index of its first group. */
  start: number;
  /** Number of its groups. */
  count: number;
  /**
   * Index of its top node in pre-order: a parent comes before its left subtree, which comes before
   * its right subtree.
   */
  node: number;
  value: Uint8Array;
}

/**
 * Walks from the root down to groups, in pre-order. It compares every value with the value that its
 * parent gives. The next item is a node if `count` is more than 1, a group if `count` is 1, and
 * nothing if `count` is 0. Holds one value per level.
 */
export class VerifiedDescent {
  readonly #root: Uint8Array;
  readonly #size: number;
  readonly #groupSize: number;
  readonly #first: number;
  readonly #last: number;
  readonly #stack: Subtree[];

  /**
   * @param root digest of the content
   * @param range indices of the groups to visit: `first` (inclusive) to `last` (exclusive)
   */
  constructor(root: Uint8Array, size: number, groupSize: number, { first, last }: Pick<GroupRange, "first" | "last">) {
    // A copy, because the caller could change `root` between pieces.
    this.#root = root.slice();
    this.#size = size;
    this.#groupSize = groupSize;
    this.#first = first;
    this.#last = last;
    this.#stack = [{ start: 0, count: groupCount(size, groupSize), node: 0, value: this.#root }];
  }

  /** Number of groups below the next item. */
  get count(): number {
    return this.#stack.at(-1)?.count ?? 0;
  }

  /** Byte offset in the content at which the next item begins. */
  get offset(): number {
    return (this.#stack.at(-1)?.start ?? 0) * this.#groupSize;
  }

  /** Index of the next node in pre-order. */
  get node(): number {
    return this.#stack.at(-1)?.node ?? 0;
  }

  /** Length in bytes of the next group. */
  get groupLength(): number {
    return Math.min(this.#groupSize, this.#size - this.offset);
  }

  /** Whether the next item covers the whole content. */
  get isRoot(): boolean {
    return this.#stack.at(-1)?.value === this.#root;
  }

  /**
   * Checks the next node and moves on.
   *
   * @throws StoreError `corrupt` if the node does not match its parent
   */
  takeNode(pair: Uint8Array): void {
    const { start, count, node, value } = this.#top();
    if (pair.length !== NODE_SIZE) throw new StoreError("corrupt", `the hash tree of blob ${this.#name} is cut short`);
    // Copies, because the values are needed until their subtrees have come.
    const left = pair.slice(0, DIGEST_SIZE);
    const right = pair.slice(DIGEST_SIZE, NODE_SIZE);
    if (!equalBytes(kernel.parent(left, right, this.isRoot), value))
      throw new StoreError(
        "corrupt",
        `the hash tree of blob ${this.#name} is wrong above the bytes at offset ${start * this.#groupSize}`,
      );
    const half = leftCount(count);
    const middle = start + half;
    this.#stack.pop();
    if (this.#last > middle) this.#stack.push({ start: middle, count: count - half, node: node + half, value: right });
    if (this.#first < middle) this.#stack.push({ start, count: half, node: node + 1, value: left });
  }

  /**
   * Checks the next group and moves on.
   *
   * @throws StoreError `corrupt` if the bytes do not match the tree
   */
  takeGroup(bytes: Uint8Array): void {
    this.takeValue(this.isRoot ? kernel.blake3(bytes) : kernel.subtree(bytes, this.offset / CHUNK_SIZE));
  }

  /**
   * Checks the next group by its computed value, and moves on. The value of a group that is the
   * whole content is its digest.
   *
   * @throws StoreError `corrupt` if the value does not match the tree
   */
  takeValue(computed: Uint8Array): void {
    const { start, value } = this.#top();
    if (!equalBytes(computed, value))
      throw new StoreError("corrupt", `the bytes at offset ${start * this.#groupSize} don't match blob ${this.#name}`);
    this.#stack.pop();
  }

  /** Skips the next group without a check. */
  skipGroup(): void {
    this.#stack.pop();
  }

  get #name(): string {
    return `b3:${toBase64(this.#root)}`;
  }

  #top(): Subtree {
    const top = this.#stack.at(-1);
    if (!top) throw new TypeError("this descent has ended");
    return top;
  }
}
