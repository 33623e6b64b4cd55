import { StoreError } from "../error.ts";
import { kernel } from "./blake3.ts";
import { groupCount, leftCount, VerifiedDescent } from "./group-tree.ts";
import { GROUP_SIZE, NODE_SIZE } from "./kernel/sizes.ts";

/** First byte of an encoded outboard or slice. Version 1 is the only version. */
export const OUTBOARD_VERSION = 1;
/** Bytes before the nodes in an outboard, and before the first item in a slice. */
export const HEADER_SIZE = 16;

const GROUP_LOG = 14;
const MAX_GROUP_LOG = 20;
/** Maximum number of groups, unless groups have their maximum size. */
const MAX_GROUPS = 4096;

/**
 * The nodes of BLAKE3's tree over a blob, without the blob. With an outboard, any range of the blob
 * can be checked against the blob's digest. docs/verified-streaming.md specifies the encoding.
 */
export interface Outboard {
  /**
   * Length of the content in bytes. The nodes don't prove it; only the content of the last group
   * does.
   */
  readonly size: number;
  /**
   * Size of a group in bytes: a power of two, 16 KiB to 1 MiB. `encodeOutboard` and
   * `decodeOutboard` accept only `groupSizeOf(size)`.
   */
  readonly groupSize: number;
  /**
   * Nodes of 64 bytes in pre-order: a parent, then its left subtree, then its right subtree. There
   * is one node less than there are groups.
   */
  readonly nodes: Uint8Array;
}

/** Computes digest and outboard of content that is complete in memory, in the calling thread. */
export function outboardOf(bytes: Uint8Array): { digest: Uint8Array; outboard: Outboard } {
  const { digest, nodes } = kernel.outboard(bytes);
  const builder = new OutboardBuilder();
  builder.push(nodes);
  return { digest, outboard: builder.finish(bytes.length) };
}

/**
 * Group size in bytes for the outboard of content of `size` bytes. It is as small as possible with
 * at most 4096 groups, but not more than 1 MiB.
 */
export function groupSizeOf(size: number): number {
  let log = GROUP_LOG;
  while (log < MAX_GROUP_LOG && size > MAX_GROUPS * 2 ** log) log++;
  return 2 ** log;
}

/**
 * Encodes an outboard.
 *
 * @throws TypeError if the number of nodes is wrong, or the group size is not `groupSizeOf(size)`
 */
export function encodeOutboard(outboard: Outboard): Uint8Array {
  const { size, groupSize, nodes } = outboard;
  if (groupSize !== groupSizeOf(size) || nodes.length !== nodesLength(size, groupSize))
    throw new TypeError("can't encode this outboard: its groups or its nodes don't fit its size");
  const bytes = new Uint8Array(HEADER_SIZE + nodes.length);
  bytes.set(encodeHeader(size, groupSize));
  bytes.set(nodes, HEADER_SIZE);
  return bytes;
}

/**
 * Decodes an outboard. Accepts only what `encodeOutboard` writes, so an outboard has one encoding.
 * The nodes are a view of `bytes` and are not checked: call `checkOutboard`.
 *
 * @throws StoreError `invalid` if `bytes` is not an encoded outboard
 */
export function decodeOutboard(bytes: Uint8Array): Outboard {
  const { size, groupSize } = decodeHeader(bytes);
  if (groupSize !== groupSizeOf(size))
    throw new StoreError("invalid", `the outboard of a blob of ${size} bytes can't have groups of ${groupSize} bytes`);
  if (bytes.length !== HEADER_SIZE + nodesLength(size, groupSize))
    throw new StoreError("invalid", `the outboard of a blob of ${size} bytes can't be ${bytes.length} bytes long`);
  return { size, groupSize, nodes: bytes.subarray(HEADER_SIZE) };
}

/** Encodes the header of an outboard or slice. `groupSize` must be a power of two. */
export function encodeHeader(size: number, groupSize: number): Uint8Array {
  const bytes = new Uint8Array(HEADER_SIZE);
  bytes[0] = OUTBOARD_VERSION;
  bytes[1] = Math.log2(groupSize);
  new DataView(bytes.buffer).setBigUint64(8, BigInt(size), true);
  return bytes;
}

/**
 * Decodes the header of an outboard or slice.
 *
 * @throws StoreError `invalid` if the header breaks a rule
 */
export function decodeHeader(bytes: Uint8Array): { size: number; groupSize: number } {
  if (bytes.length < HEADER_SIZE) throw new StoreError("invalid", "an outboard or slice is cut short in its header");
  if (bytes[0] !== OUTBOARD_VERSION)
    throw new StoreError("invalid", `an outboard or slice has version ${bytes[0]}, not ${OUTBOARD_VERSION}`);
  const log = bytes[1] as number;
  if (log < GROUP_LOG || log > MAX_GROUP_LOG || bytes.subarray(2, 8).some((byte) => byte !== 0))
    throw new StoreError("invalid", "the header of an outboard or slice is not valid in version 1");
  const size = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getBigUint64(8, true);
  if (size > Number.MAX_SAFE_INTEGER)
    throw new StoreError("invalid", `an outboard or slice claims a blob of ${size} bytes, which is too large`);
  return { size: Number(size), groupSize: 2 ** log };
}

/**
 * Checks all nodes against the blob's digest `root`. The check does not prove the size, only that
 * the number of nodes fits it: the last group of the content proves the size. Content of one group
 * has no nodes.
 *
 * @throws StoreError `corrupt` if a node is wrong; `invalid` if the number of nodes is wrong
 */
export function checkOutboard(outboard: Outboard, root: Uint8Array): void {
  const { size, groupSize, nodes } = outboard;
  if (nodes.length !== nodesLength(size, groupSize))
    throw new StoreError("invalid", `the outboard of a blob of ${size} bytes can't have ${nodes.length} bytes of nodes`);
  const descent = new VerifiedDescent(root, size, groupSize, { first: 0, last: groupCount(size, groupSize) });
  for (let at = 0; at < nodes.length; at += NODE_SIZE) {
    while (descent.count === 1) descent.skipGroup();
    descent.takeNode(nodes.subarray(at, at + NODE_SIZE));
  }
}

function nodesLength(size: number, groupSize: number): number {
  return NODE_SIZE * (groupCount(size, groupSize) - 1);
}

/**
 * Upper bound for the number of nodes on the right edge, for content of any size. These are the
 * nodes over subtrees whose number of groups is not a power of two.
 */
const EDGE = 40;

/**
 * Makes an outboard from the nodes that the kernel emits while content streams. The group size
 * grows with the content, so memory is bounded by 512 KiB. From the maximum group size on, it takes
 * 128 bytes per MiB of content.
 *
 * The kernel emits nodes in post-order, over groups of 16 KiB. First come all nodes over perfect
 * subtrees (subtrees of 2^n groups). Every second group completes a pair. The kernel then emits the
 * node of the pair, and after it the nodes of the larger perfect subtrees that end with this pair,
 * from the lowest level up. The nodes of the right edge come last. Only the content's length tells
 * where they begin, so the builder holds the last nodes back until more nodes have come.
 */
export class OutboardBuilder {
  /** Kept nodes, in post-order. */
  #nodes = new Uint8Array(64 * NODE_SIZE);
  #length = 0;
  /** The current group size is 16 KiB << `#grown`. */
  #grown = 0;
  /**
   * Number of 16 KiB groups below the perfect nodes that have come. `#level` is the level of the
   * next node: 1 for a pair of groups.
   */
  #groups = 0;
  #level = 1;
  #waiting = new Uint8Array(EDGE * NODE_SIZE);
  #waitingLength = 0;
  #count = 0;

  /** Appends nodes. @throws RangeError if `nodes` is not a multiple of 64 bytes */
  push(nodes: Uint8Array): void {
    if (nodes.length % NODE_SIZE !== 0) throw new RangeError(`a node has ${NODE_SIZE} bytes`);
    this.#count += nodes.length / NODE_SIZE;
    // Pass on all nodes but the last `EDGE`, first the waiting ones, then the new ones.
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

  /**
   * Ends the content.
   *
   * @throws TypeError if the number of nodes does not fit content of `size` bytes
   */
  finish(size: number): Outboard {
    const groups = groupCount(size, GROUP_SIZE);
    if (this.#count !== groups - 1) throw new TypeError(`content of ${size} bytes has ${groups - 1} nodes, not ${this.#count}`);
    const edges = powersOf(groups);
    const edgeLength = NODE_SIZE * (edges.length - 1);
    const waiting = this.#waiting.subarray(0, this.#waitingLength);
    this.#addPerfect(waiting.subarray(0, waiting.length - edgeLength));
    const groupSize = groupSizeOf(size);
    while (GROUP_SIZE * 2 ** this.#grown < groupSize) this.#coarsen();
    // Edge nodes come from the bottom up. The left subtree of each is the next larger power of two.
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
    // Offset of the nodes that are kept but not copied yet. Neighbours are copied together.
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

  /** Drops the lowest level. The order is that of `#addPerfect`, where the lowest level is 1. */
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

/** The powers of two that add up to `count`, the smallest first. */
function powersOf(count: number): number[] {
  const powers: number[] = [];
  let power = 1;
  for (let rest = count; rest > 0; rest = Math.floor(rest / 2), power *= 2) if (rest % 2 === 1) powers.push(power);
  return powers;
}

/**
 * Converts a tree over `count` groups from post-order (both subtrees before their parent) to
 * pre-order. It recurses at most 40 levels.
 */
function toPreOrder(post: Uint8Array, pre: Uint8Array, count: number, from = 0, to = 0): void {
  if (count === 1) return;
  const left = leftCount(count);
  const last = from + count - 2;
  pre.set(post.subarray(NODE_SIZE * last, NODE_SIZE * (last + 1)), NODE_SIZE * to);
  toPreOrder(post, pre, left, from, to + 1);
  toPreOrder(post, pre, count - left, from + left - 1, to + left);
}
