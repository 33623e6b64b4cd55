import { StoreError } from "../../error.ts";
import { LZMA } from "./kernel.wasm.ts";

/** Exports of the module. The module checks no arguments. Lengths and offsets are in bytes. */
interface Exports {
  readonly memory: WebAssembly.Memory;
  /** Offset in the dictionary's buffer at which the next byte is written. */
  readonly at: { readonly value: number };
  /** Length of the dictionary's buffer. */
  readonly length: { readonly value: number };
  /** The range coder's code. A stream is complete only if the code is 0 at its end. */
  readonly code: { readonly value: number };
  /**
   * Number of bytes that the last run read. If it is larger than the input, the run also read zeros
   * after the input, which is then cut short.
   */
  readonly taken: { readonly value: number };
  open(dictionarySize: number): void;
  set_properties(lc: number, lp: number, pb: number): void;
  reset_state(): void;
  forget_dictionary(): void;
  begin(): void;
  run(limit: number, enough: number, rest: number): number;
  store_input(from: number, count: number): void;
  set_length(length: number): void;
  wrap(): void;
}

// Layout of the memory, as in assembly/layout.ts. The dictionary comes last.
const INPUT = 0x8000;
const DICTIONARY = 0x20000;
const PAGE = 65_536;

/** Maximum length of the input of one run, in bytes. */
export const INPUT_SIZE = 65_536;
/**
 * Number of zero bytes after the input. The decoder may read them while it decodes the last symbol.
 */
const ZEROS = 32;

let compiled: WebAssembly.Module | undefined;

/**
 * The LZMA decoder in WebAssembly. Each instance has a memory of its own, which holds the
 * dictionary and grows with the output. The engine frees the memory with the instance.
 *
 * The same decoder in JavaScript was slower. The packages for LZMA don't fit: see
 * docs/dependencies.md.
 */
export class LzmaKernel {
  readonly exports: Exports;
  #bytes: Uint8Array;

  /** @throws StoreError `unavailable` if there is too little memory */
  constructor() {
    this.exports = withMemory(() => {
      compiled ??= new WebAssembly.Module(Uint8Array.from(atob(LZMA), (c) => c.charCodeAt(0)));
      return new WebAssembly.Instance(compiled, {}).exports as unknown as Exports;
    });
    this.#bytes = new Uint8Array(this.exports.memory.buffer);
    this.exports.set_length(this.#bytes.length - DICTIONARY);
  }

  /** Sets the input of the next run: at most `INPUT_SIZE` bytes. */
  supply(input: Uint8Array): void {
    this.#bytes.set(input, INPUT);
    this.#bytes.fill(0, INPUT + input.length, INPUT + input.length + ZEROS);
  }

  /** Returns a copy of a part of the dictionary's buffer. */
  copy(start: number, end: number): Uint8Array {
    return this.#bytes.slice(DICTIONARY + start, DICTIONARY + end);
  }

  /**
   * Makes the dictionary's buffer longer.
   *
   * @throws StoreError `unavailable` if there is too little memory
   */
  lengthen(length: number): void {
    const { memory } = this.exports;
    const pages = Math.ceil((DICTIONARY + length - this.#bytes.length) / PAGE);
    if (pages > 0) withMemory(() => memory.grow(pages));
    this.#bytes = new Uint8Array(memory.buffer);
    this.exports.set_length(length);
  }
}

function withMemory<T>(allocate: () => T): T {
  try {
    return allocate();
  } catch (cause) {
    throw new StoreError("unavailable", "there is too little memory to decode LZMA; try again", { cause });
  }
}
