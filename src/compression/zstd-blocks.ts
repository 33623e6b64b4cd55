import { Decompress } from "fzstd";
import { SlidingWindow } from "./sliding-window.ts";

/** Longest content of a block, in bytes. */
export const MAX_BLOCK_SIZE = 128 * 1024;

/**
 * A frame's header with a window of 1 KiB, and four empty blocks. The library reads a header when
 * it has 18 bytes.
 */
const PRELUDE = Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);

/**
 * Decodes the blocks of zstd frames with the library fzstd, but keeps the window itself. The
 * library allocates the window that a frame declares, and moves all of it for each block: nine
 * bytes of input cost 128 MiB of memory, and three bytes the time to move them.
 *
 * To that end this class sets fields of the library's decoder that are not public. The library's
 * version is therefore pinned.
 */
export class ZstdBlocks {
  #window = new SlidingWindow();
  #decoder = new Decompress();
  #state: object | undefined;
  #content: Uint8Array | undefined;

  /**
   * Begins a frame.
   *
   * @param windowSize in bytes. The caller limits it
   */
  begin(windowSize: number): void {
    this.#window.begin(windowSize);
    this.#state = undefined;
    this.#decoder = new Decompress((content) => this.#take(content));
    this.#decoder.push(PRELUDE);
    const state: unknown = Reflect.get(this.#decoder, "s");
    if (!isState(state)) throw new TypeError("the zstd decoder has changed");
    Reflect.set(state, "m", Math.min(windowSize, MAX_BLOCK_SIZE));
    this.#state = state;
  }

  /** Frees the memory of the window. */
  forget(): void {
    this.#window = new SlidingWindow();
  }

  /**
   * Decodes a block.
   *
   * @param block with its header
   * @throws Error if the block is damaged
   */
  decode(block: Uint8Array): Uint8Array {
    if (!this.#state) throw new TypeError("no frame was begun");
    this.#content = undefined;
    const window = this.#window.bytes;
    Reflect.set(this.#state, "w", window);
    Reflect.set(this.#state, "e", window.length);
    this.#decoder.push(block);
    // The library keeps an empty view of each input, and with the view the input's memory.
    Reflect.set(this.#decoder, "c", []);
    const content = this.#content as Uint8Array | undefined;
    if (!content) throw new Error("a block is damaged");
    this.#window.append(content);
    return content;
  }

  #take(content: Uint8Array): void {
    if (!this.#state) return;
    this.#content ??= content;
    // The library now writes the content to the end of the window. Let it write it onto itself.
    Reflect.set(this.#state, "w", content);
  }
}

function isState(state: unknown): state is object {
  if (typeof state !== "object" || state === null) return false;
  return Reflect.get(state, "w") instanceof Uint8Array && Reflect.get(state, "e") === 1024 && Reflect.get(state, "m") === 1024;
}
