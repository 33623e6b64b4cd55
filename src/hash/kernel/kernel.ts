import type { CutChunk } from "../engine.ts";
import { SCALAR, SIMD } from "./kernel.wasm.ts";
import {
  ARENA,
  BATCH_BLOB,
  BATCH_BYTES,
  BATCH_COUNT,
  CUT_PIECE,
  CUTTER,
  DIGESTS,
  KEY,
  NODES,
  NODES_BYTES,
  OUT,
  PAGE,
  PAIR,
  PASS_ARENA,
  PASS_PIECE,
  PIECE,
  RESULTS,
  SLOTS,
  TABLE,
  WORK,
} from "./memory-layout.ts";
import { DIGEST_SIZE, GROUP_SIZE, MAX_CHUNK_SIZE, MIN_CHUNK_SIZE, NODE_SIZE } from "./sizes.ts";
import { Blake3Stream, BlobPass } from "./streams.ts";

/**
 * Exports of the module. Addresses and lengths are bytes in its memory. The module checks nothing.
 */
interface Exports {
  memory: WebAssembly.Memory;
  hash(p: number, length: number, chunk: bigint, root: number, out: number): void;
  parent(p: number, root: number, out: number): void;
  hash_many(count: number, table: number, out: number, work: number): void;
  stream_size(): number;
  stream_open(s: number, key: number, flags: number, chunk: bigint, outboard: number): void;
  stream_update(s: number, p: number, length: number): void;
  stream_end(s: number, root: number, out: number): void;
  nodes(at: number): number;
  cut_open(c: number, position: number): void;
  cut_next(c: number, p: number, length: number): number;
  pass_size(): number;
  pass_open(s: number, outboard: number): void;
  pass_update(s: number, p: number, length: number, final: number, results: number): number;
}

export interface KernelOptions {
  /** Whether to use SIMD. By default, if the engine supports it. */
  simd?: boolean;
  /**
   * Limit for the module's memory in bytes, 64 MiB by default. An open stream takes some 6 KiB of
   * it, a pass 13 KiB.
   */
  maxMemory?: number;
}

export interface StreamOptions {
  /** Key of 32 bytes, for keyed hashing. */
  key?: Uint8Array;
  /**
   * Index of the first chunk, for a subtree. It must be a multiple of the subtree's number of
   * chunks, where that number is rounded up to a power of two.
   */
  chunk?: number | bigint;
  onNodes?: OnNodes;
}

/**
 * Receives nodes of the outboard as they are made: over groups of 16 KiB, 64 bytes each, in
 * post-order (both children come before their parent). The bytes belong to the kernel and are valid
 * only during the call. A separate buffer for each call would cost more than computing the nodes.
 */
export type OnNodes = (nodes: Uint8Array) => void;

export interface HashedWithNodes {
  digest: Uint8Array;
  /** Nodes in the form and order of `OnNodes`. */
  nodes: Uint8Array;
}

function decode(base64: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
}

/**
 * Throws a TypeError if the buffer of `bytes` was transferred. A view of a transferred buffer has
 * length 0, like an empty view.
 */
function checkAttached(bytes: Uint8Array): void {
  if (bytes.length === 0) new Uint8Array(bytes.buffer);
}

const KEYED_HASH = 16;

/**
 * BLAKE3 and FastCDC in WebAssembly. Every call is synchronous, and leaves nothing in the arena
 * that another call needs.
 */
export class Kernel {
  readonly simd: boolean;
  #exports: Exports;
  #bytes: Uint8Array;
  #words: Uint32Array;
  #maxPages: number;
  #free: number[] = [];
  #freePasses: number[] = [];
  #nextSlot = SLOTS;
  #streamSize: number;
  #passSize: number;
  #own: number;

  private constructor(instance: WebAssembly.Instance, simd: boolean, maxMemory: number) {
    this.simd = simd;
    this.#exports = instance.exports as unknown as Exports;
    this.#bytes = new Uint8Array(this.#exports.memory.buffer);
    this.#words = new Uint32Array(this.#exports.memory.buffer);
    this.#maxPages = Math.floor(maxMemory / PAGE);
    this.#streamSize = this.#exports.stream_size();
    this.#passSize = this.#exports.pass_size();
    this.#own = this.#takeStream();
  }

  /** Compiles the module synchronously. */
  static create({ simd, maxMemory = 64 * 1024 * 1024 }: KernelOptions = {}): Kernel {
    const [code, used] = Kernel.#code(simd);
    return new Kernel(new WebAssembly.Instance(new WebAssembly.Module(code), {}), used, maxMemory);
  }

  static #code(simd: boolean | undefined): [Uint8Array<ArrayBuffer>, boolean] {
    if (simd !== false) {
      const code = decode(SIMD);
      if (simd || WebAssembly.validate(code)) return [code, true];
    }
    return [decode(SCALAR), false];
  }

  /** Runs the most used functions, so that the engine compiles them before the first file comes. */
  warm(): void {
    const bytes = new Uint8Array(2 * PIECE);
    for (let i = 0; i < 4; i++) this.blake3(bytes);
    for (let i = 0; i < 64; i++) this.blake3(bytes.subarray(0, 1024));
    this.blake3Many(Array.from({ length: 64 }, (_, i) => bytes.subarray(0, 40 * i)));
    this.cut(new Uint8Array(MIN_CHUNK_SIZE + PIECE));
  }

  blake3(bytes: Uint8Array): Uint8Array {
    if (bytes.length <= PIECE) {
      checkAttached(bytes);
      this.#bytes.set(bytes, ARENA);
      this.#exports.hash(ARENA, bytes.length, 0n, 1, OUT);
    } else {
      this.#exports.stream_open(this.#own, 0, 0, 0n, 0);
      this.#feed(this.#own, bytes);
      this.#exports.stream_end(this.#own, 1, OUT);
    }
    return this.#bytes.slice(OUT, OUT + DIGEST_SIZE);
  }

  /** BLAKE3 digests of many blobs. Small blobs share the SIMD lanes. */
  blake3Many(blobs: readonly Uint8Array[]): Uint8Array[] {
    const { buffer } = this.blake3Joined(blobs);
    return blobs.map((_, i) => new Uint8Array(buffer, DIGEST_SIZE * i, DIGEST_SIZE));
  }

  /** Like `blake3Many`, but returns the digests one after another in one array. */
  blake3Joined(blobs: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
    const digests = new Uint8Array(DIGEST_SIZE * blobs.length);
    const count = blobs.length;
    for (let from = 0; from < count; ) {
      let at = ARENA;
      let entry = TABLE >> 2;
      let to = from;
      for (; to < count && to - from < BATCH_COUNT; to++) {
        const blob = blobs[to] as Uint8Array;
        const { length } = blob;
        if (length > BATCH_BLOB || at + length > ARENA + BATCH_BYTES) break;
        if (length === 0) checkAttached(blob);
        this.#bytes.set(blob, at);
        this.#words[entry++] = at;
        this.#words[entry++] = length;
        at = (at + length + 15) & -16;
      }
      if (to === from) {
        digests.set(this.blake3(blobs[from] as Uint8Array), DIGEST_SIZE * from);
        to++;
      } else {
        this.#exports.hash_many(to - from, TABLE, DIGESTS, WORK);
        digests.set(this.#bytes.subarray(DIGESTS, DIGESTS + DIGEST_SIZE * (to - from)), DIGEST_SIZE * from);
      }
      from = to;
    }
    return digests;
  }

  /**
   * Chaining value of a subtree. `chunk` is the index of its first chunk. The digest of a whole
   * input is not a chaining value: use `blake3`.
   */
  subtree(bytes: Uint8Array, chunk: number | bigint): Uint8Array {
    if (bytes.length <= PIECE) {
      checkAttached(bytes);
      this.#bytes.set(bytes, ARENA);
      this.#exports.hash(ARENA, bytes.length, BigInt(chunk), 0, OUT);
    } else {
      this.#exports.stream_open(this.#own, 0, 0, BigInt(chunk), 0);
      this.#feed(this.#own, bytes);
      this.#exports.stream_end(this.#own, 0, OUT);
    }
    return this.#bytes.slice(OUT, OUT + DIGEST_SIZE);
  }

  /** Chaining value of a parent, or the digest if the parent is the root. */
  parent(left: Uint8Array, right: Uint8Array, root: boolean): Uint8Array {
    this.#bytes.set(left, PAIR);
    this.#bytes.set(right, PAIR + DIGEST_SIZE);
    this.#exports.parent(PAIR, root ? 1 : 0, OUT);
    return this.#bytes.slice(OUT, OUT + DIGEST_SIZE);
  }

  stream(options: StreamOptions = {}): Blake3Stream {
    const slot = this.#takeStream();
    const { key, chunk = 0, onNodes } = options;
    if (key) {
      if (key.length !== 32) throw new RangeError("a key has 32 bytes");
      this.#bytes.set(key, KEY);
    }
    this.#exports.stream_open(slot, key ? KEY : 0, key ? KEYED_HASH : 0, BigInt(chunk), onNodes ? 1 : 0);
    return new Blake3Stream({
      update: (bytes) => this.#feed(slot, bytes, onNodes),
      end: (root) => {
        this.#exports.nodes(NODES);
        this.#exports.stream_end(slot, root ? 1 : 0, OUT);
        if (onNodes) this.#takeNodes(onNodes);
        return this.#bytes.slice(OUT, OUT + DIGEST_SIZE);
      },
      free: () => this.#free.push(slot),
    });
  }

  /**
   * Computes digest and nodes of content that is complete in memory. If `root` is false, the
   * content is a subtree, and the digest is its chaining value; `chunk` is as in `subtree`.
   */
  outboard(bytes: Uint8Array, { chunk = 0, root = true }: { chunk?: number; root?: boolean } = {}): HashedWithNodes {
    const nodes = new Uint8Array(NODE_SIZE * Math.max(0, Math.ceil(bytes.length / GROUP_SIZE) - 1));
    let length = 0;
    const onNodes: OnNodes = (some) => {
      nodes.set(some, length);
      length += some.length;
    };
    const stream = this.stream({ chunk, onNodes });
    try {
      stream.update(bytes);
      return { digest: root ? stream.digest() : stream.value(), nodes };
    } finally {
      stream.free();
    }
  }

  /**
   * Starts a pass, which cuts a blob, hashes the chunks and the blob, and makes the outboard while
   * the bytes are in the CPU cache.
   */
  pass({ onNodes }: { onNodes?: OnNodes } = {}): BlobPass {
    const slot = this.#freePasses.pop() ?? this.#grow(this.#passSize);
    this.#exports.pass_open(slot, onNodes ? 1 : 0);
    const piece = (bytes: Uint8Array, final: boolean): CutChunk[] => {
      this.#bytes.set(bytes, PASS_ARENA);
      const count = this.#exports.pass_update(slot, PASS_ARENA, bytes.length, final ? 1 : 0, RESULTS);
      return Array.from({ length: count }, (_, i) => {
        const result = RESULTS + 36 * i;
        return { length: this.#words[result >> 2] as number, digest: this.#bytes.slice(result + 4, result + 36) };
      });
    };
    return new BlobPass({
      update: (bytes) => {
        checkAttached(bytes);
        const chunks: CutChunk[] = [];
        this.#exports.nodes(NODES);
        for (let from = 0; from < bytes.length; from += PASS_PIECE) {
          chunks.push(...piece(bytes.subarray(from, from + PASS_PIECE), false));
          if (onNodes && (from + PASS_PIECE) % NODES_BYTES === 0) this.#takeNodes(onNodes);
        }
        if (onNodes) this.#takeNodes(onNodes);
        return chunks;
      },
      end: () => {
        this.#exports.nodes(NODES);
        const chunks = piece(new Uint8Array(0), true);
        this.#exports.stream_end(slot, 1, OUT);
        if (onNodes) this.#takeNodes(onNodes);
        return { chunks, digest: this.#bytes.slice(OUT, OUT + DIGEST_SIZE) };
      },
      free: () => this.#freePasses.push(slot),
    });
  }

  /**
   * Length of the first chunk of the bytes from `start` to `end`. The result is final only if there
   * are at least 512 KiB, or if the content ends at `end`.
   */
  cut(bytes: Uint8Array, start = 0, end = bytes.length): number {
    if (end - start <= MIN_CHUNK_SIZE) return end - start;
    const stop = Math.min(end, start + MAX_CHUNK_SIZE);
    this.#exports.cut_open(CUTTER, MIN_CHUNK_SIZE);
    for (let at = start + MIN_CHUNK_SIZE; at < stop; ) {
      const size = Math.min(CUT_PIECE, stop - at);
      this.#bytes.set(bytes.subarray(at, at + size), ARENA);
      at += this.#exports.cut_next(CUTTER, ARENA, size);
      if (this.#words[(CUTTER + 12) >> 2]) return at - start;
    }
    return stop - start;
  }

  /** Lengths of the chunks of content that is complete in memory. */
  cutAll(bytes: Uint8Array): number[] {
    checkAttached(bytes);
    const lengths: number[] = [];
    for (let start = 0; start < bytes.length; ) {
      const length = this.cut(bytes, start);
      lengths.push(length);
      start += length;
    }
    return lengths;
  }

  #feed(slot: number, bytes: Uint8Array, onNodes?: OnNodes): void {
    checkAttached(bytes);
    const { length } = bytes;
    if (onNodes) this.#exports.nodes(NODES);
    if (length <= PIECE) {
      this.#bytes.set(bytes, ARENA);
      this.#exports.stream_update(slot, ARENA, length);
    } else {
      for (let from = 0; from < length; from += PIECE) {
        const piece = bytes.subarray(from, from + PIECE);
        this.#bytes.set(piece, ARENA);
        this.#exports.stream_update(slot, ARENA, piece.length);
        // There is room only for the nodes of 2 MiB, and of the larger subtrees that end there.
        if (onNodes && (from + PIECE) % NODES_BYTES === 0) this.#takeNodes(onNodes);
      }
    }
    if (onNodes) this.#takeNodes(onNodes);
  }

  #takeNodes(onNodes: OnNodes): void {
    const end = this.#exports.nodes(NODES);
    if (end > NODES) onNodes(this.#bytes.subarray(NODES, end));
  }

  #takeStream(): number {
    return this.#free.pop() ?? this.#grow(this.#streamSize);
  }

  #grow(size: number): number {
    const slot = this.#nextSlot;
    const { memory } = this.#exports;
    const missing = Math.ceil((slot + size - memory.buffer.byteLength) / PAGE);
    if (missing > 0) {
      const pages = memory.buffer.byteLength / PAGE;
      if (pages + missing > this.#maxPages) throw new RangeError("too many hash streams are open");
      // Grow by half, so that growth stays rare: each time, all views have to be created again.
      memory.grow(Math.min(this.#maxPages - pages, Math.max(missing, pages >> 1)));
      this.#bytes = new Uint8Array(memory.buffer);
      this.#words = new Uint32Array(memory.buffer);
    }
    this.#nextSlot = slot + ((size + 15) & -16);
    return slot;
  }
}
