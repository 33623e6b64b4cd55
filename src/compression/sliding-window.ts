import type { BlockOutput } from "./zstd-sequences.ts";

/** Initial capacity, in bytes. */
const FIRST_CAPACITY = 64 * 1024;

/**
 * Keeps the last bytes of a decoder's output, to which later blocks may refer. The buffer grows
 * with the output, because a few bytes of input may declare any window. Frames share the buffer,
 * because an input may have millions of frames.
 */
export class SlidingWindow {
  #buffer = new Uint8Array(0);
  #start = 0;
  #end = 0;
  #size = 0;

  /**
   * Returns the maximum memory of a window, in bytes. It is a quarter more than the window's size,
   * so some four bytes of the window are moved for each byte of output.
   *
   * @param size of the window, in bytes
   * @param longest maximum length that is appended at once, in bytes
   */
  static capacity(size: number, longest: number): number {
    return size + Math.max(size >> 2, longest);
  }

  /**
   * Begins an empty window.
   *
   * @param size number of bytes to keep
   */
  begin(size: number): void {
    this.#start = 0;
    this.#end = 0;
    this.#size = size;
  }

  /**
   * Makes room after the kept bytes.
   *
   * @param length in bytes
   * @returns where to write, valid until the next call
   */
  room(length: number): BlockOutput {
    if (length > this.#buffer.length - this.#end) this.#makeRoom(length);
    return { buffer: this.#buffer, first: this.#start, start: this.#end, limit: this.#end + length };
  }

  /** Takes the bytes written up to the offset `end` of the buffer. */
  take(end: number): void {
    this.#end = end;
    this.#start = Math.max(this.#start, end - this.#size);
  }

  /** Moves the kept bytes to the start of the buffer, or to a larger buffer. */
  #makeRoom(length: number): void {
    const kept = this.#end - this.#start;
    const most = SlidingWindow.capacity(this.#size, length);
    const wanted = Math.min(Math.max(kept + length, this.#buffer.length * 2, FIRST_CAPACITY), most);
    if (wanted > this.#buffer.length) {
      const larger = new Uint8Array(wanted);
      larger.set(this.#buffer.subarray(this.#start, this.#end));
      this.#buffer = larger;
    } else this.#buffer.copyWithin(0, this.#start, this.#end);
    this.#start = 0;
    this.#end = kept;
  }
}
