import { StoreError } from "../error.ts";
import { kernel } from "./blake3.ts";
import { groupCount, leftCount, VerifiedDescent } from "./group-tree.ts";
import { GROUP_SIZE, NODE_SIZE } from "./kernel/kernel.ts";

/** Versions of the encoding that there are: 1. Its first byte. */
export const OUTBOARD_VERSION = 1;
/** Of bytes before the nodes, in an outboard as in a slice. */
export const HEADER_SIZE = 16;

const GROUP_LOG = 14;
const MAX_GROUP_LOG = 20;
/** Content has no more groups than this, unless groups are as large as they may be. */
const MAX_GROUPS = 4096;

/**
 * The nodes of BLAKE3's tree over a blob, without the blob: with it, any range of the blob can be compared with the blob's digest.
 * docs/verified-streaming.md has its encoding.
 */
export interface Outboard {
  /** Bytes of the content. Nodes don't prove it: only the last group's content does. */
  readonly size: number;
  /** Bytes below a leaf: a power of two, 16 KiB to 1 MiB. `groupSizeOf(size)` in all that is encoded. */
  readonly groupSize: number;
  /** 64 bytes each, in pre-order: a parent, then its left subtree, then its right one. One less than there are groups. */
  readonly nodes: Uint8Array;
}

/** Digest and outboard of content that is there as a whole, made in this thread. */
export function outboardOf(bytes: Uint8Array): { digest: Uint8Array; outboard: Outboard } {
  const { digest, nodes } = kernel.outboard(bytes);
  const builder = new OutboardBuilder();
  builder.push(nodes);
  return { digest, outboard: builder.finish(bytes.length) };
}

/** The size of groups in the outboard of content of `size` bytes: so that there are at most 4096, but not more than 1 MiB. */
export function groupSizeOf(size: number): number {
  let log = GROUP_LOG;
  while (log < MAX_GROUP_LOG && size > MAX_GROUPS * 2 ** log) log++;
  return 2 ** log;
}

/** @throws TypeError if `nodes` are not as many as there must be, or groups don't have the size that the encoding has. */
export function encodeOutboard(outboard: Outboard): Uint8Array {
  const { size, groupSize, nodes } = outboard;
  if (groupSize !== groupSizeOf(size) || nodes.length !== nodesLength(size, groupSize))
    throw new TypeError("this is not the outboard that is encoded");
  const bytes = new Uint8Array(HEADER_SIZE + nodes.length);
  bytes.set(encodeHeader(size, groupSize));
  bytes.set(nodes, HEADER_SIZE);
  return bytes;
}

/**
 * Reads what `encodeOutboard` writes and nothing else, so that an outboard has one encoding. The nodes are a view of `bytes`, and not
 * compared with any digest: `checkOutboard` does.
 *
 * @throws StoreError `invalid`
 */
export function decodeOutboard(bytes: Uint8Array): Outboard {
  const { size, groupSize } = decodeHeader(bytes);
  if (groupSize !== groupSizeOf(size))
    throw new StoreError("invalid", `an outboard of ${size} bytes can't have groups of ${groupSize} bytes`);
  if (bytes.length !== HEADER_SIZE + nodesLength(size, groupSize))
    throw new StoreError("invalid", `an outboard of ${size} bytes can't be ${bytes.length} bytes long`);
  return { size, groupSize, nodes: bytes.subarray(HEADER_SIZE) };
}

/** What an outboard and a slice begin with. `groupSize`: a power of two. */
export function encodeHeader(size: number, groupSize: number): Uint8Array {
  const bytes = new Uint8Array(HEADER_SIZE);
  bytes[0] = OUTBOARD_VERSION;
  bytes[1] = Math.log2(groupSize);
  new DataView(bytes.buffer).setBigUint64(8, BigInt(size), true);
  return bytes;
}

/** @throws StoreError `invalid` */
export function decodeHeader(bytes: Uint8Array): { size: number; groupSize: number } {
  if (bytes.length < HEADER_SIZE) throw new StoreError("invalid", "an outboard or slice is cut short in its header");
  if (bytes[0] !== OUTBOARD_VERSION)
    throw new StoreError("invalid", `an outboard or slice has version ${bytes[0]}, not ${OUTBOARD_VERSION}`);
  const log = bytes[1] as number;
  if (log < GROUP_LOG || log > MAX_GROUP_LOG || bytes.subarray(2, 8).some((byte) => byte !== 0))
    throw new StoreError("invalid", "an outboard or slice has a header that version 1 doesn't have");
  const size = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getBigUint64(8, true);
  if (size > Number.MAX_SAFE_INTEGER) throw new StoreError("invalid", `there can't be an outboard or slice of ${size} bytes`);
  return { size: Number(size), groupSize: 2 ** log };
}

/**
 * Compares all nodes with the blob's digest. Says nothing of the size but that it is one that has as many nodes: whoever reads the
 * last group learns whether it is right. Content of one group has no nodes.
 *
 * @throws StoreError `corrupt`; `invalid` if nodes are too few or too many
 */
export function checkOutboard(outboard: Outboard, root: Uint8Array): void {
  const { size, groupSize, nodes } = outboard;
  if (nodes.length !== nodesLength(size, groupSize))
    throw new StoreError("invalid", `an outboard of ${size} bytes can't have ${nodes.length} bytes of nodes`);
  const descent = new VerifiedDescent(root, size, groupSize, { first: 0, last: groupCount(size, groupSize) });
  for (let at = 0; at < nodes.length; at += NODE_SIZE) {
    while (descent.count === 1) descent.skipGroup();
    descent.takeNode(nodes.subarray(at, at + NODE_SIZE));
  }
}

function nodesLength(size: number, groupSize: number): number {
  return NODE_SIZE * (groupCount(size, groupSize) - 1);
}

/** Nodes on the right edge, over subtrees that are no power of two of groups: fewer than this, whatever the size. */
const EDGE = 40;

/**
 * Makes an outboard of the nodes that the kernel emits while content streams. Groups grow as the content does, so memory is bounded
 * by 512 KiB, or where groups don't grow any more, by 128 bytes a MiB of content.
 *
 * The kernel's order is post-order over groups of 16 KiB. First come all nodes over perfect subtrees (of a power of two of groups):
 * with every other group that ends one more pair, then what that completes, level by level. Those of the right edge come last, and
 * only the content's length tells where they begin. So the last nodes wait until more have come.
 */
export class OutboardBuilder {
  /** Kept nodes, in post-order. */
  #nodes = new Uint8Array(64 * NODE_SIZE);
  #length = 0;
  /** A group is 16 KiB << this. */
  #grown = 0;
  /** Groups of 16 KiB below the perfect nodes that have come, and the level (pairs of groups have 1) of the one that comes next. */
  #groups = 0;
  #level = 1;
  #waiting = new Uint8Array(EDGE * NODE_SIZE);
  #waitingLength = 0;
  #count = 0;

  /** The next nodes, as many as there are. */
  push(nodes: Uint8Array): void {
    if (nodes.length % NODE_SIZE !== 0) throw new RangeError(`a node has ${NODE_SIZE} bytes`);
    this.#count += nodes.length / NODE_SIZE;
    // All but the last ones, of those that wait and of these.
    const over = this.#waitingLength + nodes.length - this.#waiting.length;
    const waited = Math.max(0, Math.min(over, this.#waitingLength));
    this.#addPerfect(this.#waiting.subarray(0, waited));
    this.#waiting.copyWithin(0, waited, this.#waitingLength);
    this.#waitingLength -= waited;
    const passing = Math.max(0, over - waited);
    this.#addPerfect(nodes.subarray(0, passing));
    this.#waiting.set(nodes.subarray(passing), this.#waitingLength);
    this.#waitingLength += nodes.length - passing;
  }

  /** @throws TypeError if there were not as many nodes as content of `size` bytes has */
  finish(size: number): Outboard {
    const groups = groupCount(size, GROUP_SIZE);
    if (this.#count !== groups - 1) throw new TypeError(`content of ${size} bytes has ${groups - 1} nodes, not ${this.#count}`);
    const edges = powersOf(groups);
    const edgeLength = NODE_SIZE * (edges.length - 1);
    const waiting = this.#waiting.subarray(0, this.#waitingLength);
    this.#addPerfect(waiting.subarray(0, waiting.length - edgeLength));
    const groupSize = groupSizeOf(size);
    while (GROUP_SIZE * 2 ** this.#grown < groupSize) this.#coarsen();
    // From the bottom up, each with the next larger power of two to its left.
    for (let i = 1; i < edges.length; i++) {
      if ((edges[i] as number) < 2 ** this.#grown) continue;
      const at = waiting.length - edgeLength + NODE_SIZE * (i - 1);
      this.#keep(waiting.subarray(at, at + NODE_SIZE));
    }
    const nodes = new Uint8Array(this.#length);
    toPreOrder(this.#nodes, nodes, groupCount(size, groupSize));
    return { size, groupSize, nodes };
  }

  #addPerfect(nodes: Uint8Array): void {
    // Nodes from here on are kept, and not copied yet: they are copied together.
    let from = 0;
    for (let at = 0; at < nodes.length; at += NODE_SIZE) {
      if (this.#level === 1) this.#groups += 2;
      if (this.#level <= this.#grown) {
        this.#keep(nodes.subarray(from, at));
        from = at + NODE_SIZE;
      }
      this.#level = this.#groups % 2 ** (this.#level + 1) === 0 ? this.#level + 1 : 1;
      if (this.#groups > MAX_GROUPS * 2 ** this.#grown && this.#grown < MAX_GROUP_LOG - GROUP_LOG) {
        this.#keep(nodes.subarray(from, at + NODE_SIZE));
        from = at + NODE_SIZE;
        this.#coarsen();
      }
    }
    this.#keep(nodes.subarray(from));
  }

  #keep(nodes: Uint8Array): void {
    if (nodes.length === 0) return;
    const length = this.#length + nodes.length;
    if (length > this.#nodes.length) {
      const grown = new Uint8Array(Math.max(length, 2 * this.#nodes.length));
      grown.set(this.#nodes.subarray(0, this.#length));
      this.#nodes = grown;
    }
    this.#nodes.set(nodes, this.#length);
    this.#length = length;
  }

  /** Drops the lowest level: the order is the one of `#addPerfect`, and what is dropped is its level 1. */
  #coarsen(): void {
    let groups = 0;
    let level = 1;
    let to = 0;
    for (let at = 0; at < this.#length; at += NODE_SIZE) {
      if (level === 1) {
        groups += 2;
      } else {
        this.#nodes.copyWithin(to, at, at + NODE_SIZE);
        to += NODE_SIZE;
      }
      level = groups % 2 ** (level + 1) === 0 ? level + 1 : 1;
    }
    this.#length = to;
    this.#grown++;
  }
}

/** The powers of two that make `count`, the smallest first. */
function powersOf(count: number): number[] {
  const powers: number[] = [];
  let power = 1;
  for (let rest = count; rest > 0; rest = Math.floor(rest / 2), power *= 2) if (rest % 2 === 1) powers.push(power);
  return powers;
}

/** Turns the order of a tree over `count` groups: `post` has both subtrees before their parent. No deeper than 40. */
function toPreOrder(post: Uint8Array, pre: Uint8Array, count: number, from = 0, to = 0): void {
  if (count === 1) return;
  const left = leftCount(count);
  const last = from + count - 2;
  pre.set(post.subarray(NODE_SIZE * last, NODE_SIZE * (last + 1)), NODE_SIZE * to);
  toPreOrder(post, pre, left, from, to + 1);
  toPreOrder(post, pre, count - left, from + left - 1, to + left);
}
