import { SlidingWindow } from "./sliding-window.ts";
import { ZstdLiterals } from "./zstd-literals.ts";
import { ZstdSequences } from "./zstd-sequences.ts";

/** Maximum size of a block's content, in bytes. */
export const MAX_BLOCK_SIZE = 128 * 1024;

/**
 * Decodes the blocks of zstd frames (RFC 8878, 3.1.1.2). Frames share its memory.
 *
 * The library fzstd decodes matches further back than 96 MiB wrongly: it reads 32 bits, but the 26
 * bits of an offset can span 33. It also allocates the window that a frame declares, and moves all
 * of it for each block. Other libraries for pages decode whole inputs, or keep windows in a
 * WebAssembly memory, which never shrinks.
 */
export class ZstdBlocks {
  #window = new SlidingWindow();
  readonly #literals = new ZstdLiterals();
  #sequences = new ZstdSequences();
  #maxContent = 0;

  /**
   * Begins a frame.
   *
   * @param windowSize in bytes; the caller limits it
   */
  begin(windowSize: number): void {
    this.#window.begin(windowSize);
    this.#literals.begin();
    this.#sequences = new ZstdSequences();
    this.#maxContent = Math.min(windowSize, MAX_BLOCK_SIZE);
  }

  /** Frees the memory of the window. */
  forget(): void {
    this.#window = new SlidingWindow();
  }

  /**
   * Decodes a block.
   *
   * @param block the complete block, with its header of three bytes
   * @returns a copy of the content
   * @throws Error if the block is damaged
   */
  decode(block: Uint8Array): Uint8Array {
    const [b0 = 0, b1 = 0, b2 = 0, value = 0] = block;
    const type = (b0 >> 1) & 3;
    const size = (b0 | (b1 << 8) | (b2 << 16)) >> 3;
    const body = block.subarray(3);
    if (type === 3 || size > MAX_BLOCK_SIZE) throw new Error("a block is damaged");
    const output = this.#window.room(type === 2 ? this.#maxContent : size);
    const { buffer, start } = output;
    let end = start + size;
    if (type === 0) buffer.set(body, start);
    else if (type === 1) buffer.fill(value, start, end);
    else {
      const [literals, length] = this.#literals.decode(body, this.#maxContent);
      end = this.#sequences.execute(body.subarray(length), literals, output);
    }
    this.#window.take(end);
    return buffer.slice(start, end);
  }
}
