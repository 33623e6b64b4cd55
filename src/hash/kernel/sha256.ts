import { checkAttached } from "../attached.ts";
import { SHA256_SCALAR, SHA256_SIMD } from "./kernel.wasm.ts";

/** Exports of the module. Addresses are bytes in its memory. The module checks nothing. */
interface Exports {
  memory: WebAssembly.Memory;
  compress(state: number, p: number, blocks: number): void;
}

const BLOCK = 64;
/** The initial hash value: eight 32-bit words, as in FIPS 180-4. */
const INITIAL = [0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19];

// Layout of the memory, 128 KiB: the module's own first 2 KiB; the state; the arena, into which
// input is copied.
const STATE = 2048;
const ARENA = 4096;
/**
 * Input bytes that are copied and hashed at once, so that they are still in the CPU cache when they
 * are read.
 */
const PIECE = 64 * 1024;

function decode(base64: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
}

/**
 * SHA-256 in WebAssembly, for content that comes in pieces. One instance serves any number of
 * streams. A stream keeps its state in its own JavaScript objects between calls, so the garbage
 * collector frees it.
 */
export class Sha256Kernel {
  readonly simd: boolean;
  #exports: Exports;
  #arena: Uint8Array;
  #state: Uint32Array;

  private constructor(instance: WebAssembly.Instance, simd: boolean) {
    this.simd = simd;
    this.#exports = instance.exports as unknown as Exports;
    this.#arena = new Uint8Array(this.#exports.memory.buffer, ARENA, PIECE);
    this.#state = new Uint32Array(this.#exports.memory.buffer, STATE, INITIAL.length);
  }

  /** Compiles the module synchronously. Uses SIMD by default if the engine supports it. */
  static create({ simd }: { simd?: boolean } = {}): Sha256Kernel {
    const code = decode(SHA256_SIMD);
    const used = simd ?? WebAssembly.validate(code);
    return new Sha256Kernel(new WebAssembly.Instance(new WebAssembly.Module(used ? code : decode(SHA256_SCALAR)), {}), used);
  }

  stream(): Sha256Stream {
    return new Sha256Stream((state, bytes, tail, held) => this.#update(state, bytes, tail, held));
  }

  /**
   * Compresses the whole blocks of the input: the first `held` bytes of `tail`, then `bytes`.
   * Copies the rest into `tail` and returns its length.
   */
  #update(state: Uint32Array, bytes: Uint8Array, tail: Uint8Array, held: number): number {
    let at = 0;
    this.#state.set(state);
    this.#arena.set(tail.subarray(0, held));
    while (held + bytes.length - at >= BLOCK) {
      const size = Math.min(PIECE - held, bytes.length - at);
      const whole = (held + size) & -BLOCK;
      this.#arena.set(bytes.subarray(at, at + whole - held), held);
      this.#exports.compress(STATE, ARENA, whole / BLOCK);
      at += whole - held;
      held = 0;
    }
    state.set(this.#state);
    tail.set(bytes.subarray(at), held);
    return held + bytes.length - at;
  }
}

type Update = (state: Uint32Array, bytes: Uint8Array, tail: Uint8Array, held: number) => number;

/** SHA-256 over bytes that come in pieces. It ends with `digest`. */
export class Sha256Stream {
  readonly #update: Update;
  readonly #state: Uint32Array = Uint32Array.from(INITIAL);
  /** Bytes that do not fill a block yet. */
  readonly #tail: Uint8Array = new Uint8Array(BLOCK);
  #held = 0;
  #length = 0;
  #ended = false;

  constructor(update: Update) {
    this.#update = update;
  }

  /** Appends `bytes`. @throws StoreError `invalid` if the buffer of `bytes` was transferred */
  update(bytes: Uint8Array): this {
    if (this.#ended) throw new TypeError("this hash stream has ended");
    checkAttached(bytes);
    this.#length += bytes.length;
    if (this.#held + bytes.length < BLOCK) {
      this.#tail.set(bytes, this.#held);
      this.#held += bytes.length;
    } else {
      this.#held = this.#update(this.#state, bytes, this.#tail, this.#held);
    }
    return this;
  }

  digest(): Uint8Array {
    const length = this.#length;
    // The padding: a one bit, zeros, and the length in bits as 64 bits. It completes the last
    // block.
    const end = new Uint8Array(1 + ((2 * BLOCK - 9 - this.#held) % BLOCK) + 8);
    const view = new DataView(end.buffer);
    end[0] = 0x80;
    view.setUint32(end.length - 8, Math.floor(length / 2 ** 29));
    view.setUint32(end.length - 4, (length % 2 ** 29) * 8);
    this.update(end);
    this.#ended = true;
    const digest = new DataView(new ArrayBuffer(4 * INITIAL.length));
    this.#state.forEach((word, i) => {
      digest.setUint32(4 * i, word);
    });
    return new Uint8Array(digest.buffer);
  }
}
