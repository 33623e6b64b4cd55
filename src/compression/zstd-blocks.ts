import { SlidingWindow } from "./sliding-window.ts";
import { type BlockHeader, MAX_BLOCK_SIZE } from "./zstd-frame.ts";
import { ZstdLiterals } from "./zstd-literals.ts";
import { ZstdSequences } from "./zstd-sequences.ts";

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
   * @param body the block without its header
   * @returns a copy of the content
   * @throws Error if the block is damaged
   */
  decode({ kind, contentSize }: BlockHeader, body: Uint8Array): Uint8Array {
    const output = this.#window.room(kind === "compressed" ? this.#maxContent : contentSize);
    const { buffer, start } = output;
    let end = start + contentSize;
    if (kind === "stored") buffer.set(body, start);
    else if (kind === "run") buffer.fill(body[0] as number, start, end);
    else {
      const [literals, length] = this.#literals.decode(body, this.#maxContent);
      end = this.#sequences.execute(body.subarray(length), literals, output);
    }
    this.#window.take(end);
    return buffer.slice(start, end);
  }
}
