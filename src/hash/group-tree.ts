import { equalBytes, toBase64 } from "../bytes.ts";
import { StoreError } from "../error.ts";
import { kernel } from "./blake3.ts";
import { CHUNK_SIZE, DIGEST_SIZE, NODE_SIZE } from "./kernel/kernel.ts";

/**
 * BLAKE3's tree above groups of chunks: leaves are the content's groups (the last one may be shorter; content of no bytes has one
 * group of no bytes), and of `n` groups the left subtree has the largest power of two that is less than `n`. So it is BLAKE3's own
 * tree, cut off where subtrees are as large as a group, which is a power of two of chunks.
 */

export interface ByteRange {
  readonly offset: number;
  /** May be infinite: to the end. */
  readonly length: number;
}

/** A range of content, and the groups that prove it. */
export interface GroupRange {
  /** Number of the first group. */
  readonly first: number;
  /** Number of the group behind the last one. */
  readonly last: number;
  /** Bytes of the content that are wanted: from `from` to before `to`. */
  readonly from: number;
  readonly to: number;
}

export function groupCount(size: number, groupSize: number): number {
  return Math.max(1, Math.ceil(size / groupSize));
}

/** Groups in the left one of the subtrees that `count` groups, two at least, are divided into. */
export function leftCount(count: number): number {
  // 32 bits are too few: content of 2^53 bytes has 2^39 groups.
  let left = 1;
  while (2 * left < count) left *= 2;
  return left;
}

/**
 * The groups that `range` touches. It is cut where the content ends. Where it has no bytes at all, being empty or behind the content,
 * it is the last group, which proves the content's length.
 *
 * @throws StoreError `invalid` for a range that can't be one
 */
export function coveringGroups(size: number, groupSize: number, range: ByteRange): GroupRange {
  const { offset, length } = checkedRange(range);
  const from = Math.min(offset, size);
  const to = from + Math.min(length, size - from);
  if (from < to) return { first: Math.floor(from / groupSize), last: Math.ceil(to / groupSize), from, to };
  const count = groupCount(size, groupSize);
  return { first: count - 1, last: count, from, to };
}

/** @throws StoreError `invalid` */
export function checkedRange(range: ByteRange): ByteRange {
  const { offset, length } = range;
  if (
    !Number.isSafeInteger(offset) ||
    offset < 0 ||
    !(Number.isSafeInteger(length) || length === Number.POSITIVE_INFINITY) ||
    length < 0
  )
    throw new StoreError("invalid", `there can't be a range of ${length} bytes at ${offset}`);
  return range;
}

interface Subtree {
  /** Number of its first group. */
  start: number;
  /** Its groups. */
  count: number;
  /** Number of its node among all, a parent before its left subtree before its right one. */
  node: number;
  value: Uint8Array;
}

/**
 * From the root down to groups, in pre-order, with every value compared with what the one above it says. What is next is a node as
 * long as `count` is more than 1, and else a group, or nothing when it is 0. Holds one value for each level.
 */
export class VerifiedDescent {
  readonly #root: Uint8Array;
  readonly #size: number;
  readonly #groupSize: number;
  readonly #first: number;
  readonly #last: number;
  readonly #stack: Subtree[];

  /** Of groups from `first` to before `last`. `root`: the content's digest. */
  constructor(root: Uint8Array, size: number, groupSize: number, { first, last }: Pick<GroupRange, "first" | "last">) {
    // A copy: the caller's could change between pieces.
    this.#root = root.slice();
    this.#size = size;
    this.#groupSize = groupSize;
    this.#first = first;
    this.#last = last;
    this.#stack = [{ start: 0, count: groupCount(size, groupSize), node: 0, value: this.#root }];
  }

  /** Groups below what is next. */
  get count(): number {
    return this.#stack.at(-1)?.count ?? 0;
  }

  /** Where what is next begins in the content. */
  get offset(): number {
    return (this.#stack.at(-1)?.start ?? 0) * this.#groupSize;
  }

  /** Number of the next node among all of the tree's. */
  get node(): number {
    return this.#stack.at(-1)?.node ?? 0;
  }

  /** Bytes of the group that is next. */
  get groupLength(): number {
    return Math.min(this.#groupSize, this.#size - this.offset);
  }

  /** Whether what is next is the whole content. */
  get isRoot(): boolean {
    return this.#stack.at(-1)?.value === this.#root;
  }

  /** Takes the next node. @throws StoreError `corrupt` */
  takeNode(pair: Uint8Array): void {
    const { start, count, node, value } = this.#top();
    if (pair.length !== NODE_SIZE) throw new StoreError("corrupt", `the hash tree of blob ${this.#name} is cut short`);
    // Copies: the values are needed until their subtrees have come.
    const left = pair.slice(0, DIGEST_SIZE);
    const right = pair.slice(DIGEST_SIZE, NODE_SIZE);
    if (!equalBytes(kernel.parent(left, right, this.isRoot), value))
      throw new StoreError("corrupt", `the hash tree of blob ${this.#name} is wrong above the bytes at ${start * this.#groupSize}`);
    const half = leftCount(count);
    const middle = start + half;
    this.#stack.pop();
    if (this.#last > middle) this.#stack.push({ start: middle, count: count - half, node: node + half, value: right });
    if (this.#first < middle) this.#stack.push({ start, count: half, node: node + 1, value: left });
  }

  /** Takes the next group. @throws StoreError `corrupt` */
  takeGroup(bytes: Uint8Array): void {
    this.takeValue(this.isRoot ? kernel.blake3(bytes) : kernel.subtree(bytes, this.offset / CHUNK_SIZE));
  }

  /** Takes the next group by what its value was computed to be: its digest, if it is the whole content. @throws StoreError `corrupt` */
  takeValue(computed: Uint8Array): void {
    const { start, value } = this.#top();
    if (!equalBytes(computed, value))
      throw new StoreError("corrupt", `the bytes at ${start * this.#groupSize} are not those of blob ${this.#name}`);
    this.#stack.pop();
  }

  /** Goes on behind the next group, unchecked. */
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
