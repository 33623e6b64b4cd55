type OpenRange = (offset: number, length: number) => ReadableStream<Uint8Array>;

/** A file of a store path, with the methods of a `Blob`. Content is read, and checked, when it is asked for. */
export class StoreFile {
  /** Bytes. */
  readonly size: number;
  #open: OpenRange;
  #start: number;

  /** @internal */
  constructor(size: number, open: OpenRange, start = 0) {
    this.size = size;
    this.#open = open;
    this.#start = start;
  }

  /** A part of it, by the rules of `Blob.slice`: negative positions count from the end, and what lies outside is cut off. */
  slice(start = 0, end = this.size): StoreFile {
    const clamp = (position: number): number => Math.min(Math.max(position < 0 ? this.size + position : position, 0), this.size);
    const from = clamp(start);
    return new StoreFile(Math.max(clamp(end) - from, 0), this.#open, this.#start + from);
  }

  stream(): ReadableStream<Uint8Array> {
    return this.#open(this.#start, this.size);
  }

  async arrayBuffer(): Promise<ArrayBuffer> {
    const whole = new Uint8Array(this.size);
    const reader = this.stream().getReader();
    let offset = 0;
    for (let result = await reader.read(); !result.done; result = await reader.read()) {
      whole.set(result.value, offset);
      offset += result.value.length;
    }
    return whole.buffer;
  }

  async text(): Promise<string> {
    return new TextDecoder().decode(await this.arrayBuffer());
  }
}
