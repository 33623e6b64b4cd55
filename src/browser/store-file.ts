import { ownBytes } from "../bytes.ts";
import { StoreError } from "../error.ts";
import { iterate } from "../stream.ts";

/** Reads content. Both methods cut the range to the content; offset and length are bytes. */
export interface FileSource {
  open(offset: number, length: number): ReadableStream<Uint8Array>;
  /**
   * Reads at most `SMALL_READ` bytes at once, with one message in each direction. The bytes belong
   * to the caller.
   */
  read(offset: number, length: number): Promise<Uint8Array>;
}

/** Limit in bytes for a read without a stream. */
const SMALL_READ = 256 * 1024;

/**
 * The content of a file or blob of the store, with the methods `slice`, `stream`, `arrayBuffer` and
 * `text` of a `Blob`. The content is read and verified on demand.
 */
export class StoreFile {
  /** Size in bytes. */
  readonly size: number;
  #name: string;
  #source: FileSource;
  #start: number;

  /**
   * @param name name for messages
   * @internal
   */
  constructor(name: string, size: number, source: FileSource, start = 0) {
    this.#name = name;
    this.size = size;
    this.#source = source;
    this.#start = start;
  }

  /**
   * Returns a part of the file, by the rules of `Blob.slice`: negative positions count from the
   * end, and positions outside the file are clamped.
   */
  slice(start = 0, end = this.size): StoreFile {
    const clamp = (position: number): number => Math.min(Math.max(position < 0 ? this.size + position : position, 0), this.size);
    const from = clamp(start);
    return new StoreFile(this.#name, Math.max(clamp(end) - from, 0), this.#source, this.#start + from);
  }

  stream(): ReadableStream<Uint8Array> {
    return this.#source.open(this.#start, this.size);
  }

  /**
   * Reads the whole file.
   *
   * @throws StoreError `corrupt` if the content has another length than its directory states
   */
  async arrayBuffer(): Promise<ArrayBuffer> {
    if (this.size <= SMALL_READ) {
      const bytes = await this.#source.read(this.#start, this.size);
      if (bytes.length !== this.size) throw this.#wrongLength(bytes.length > this.size ? "more" : "less");
      return ownBytes([bytes]).buffer;
    }
    const whole = new Uint8Array(this.size);
    let offset = 0;
    for await (const bytes of iterate(this.stream())) {
      if (bytes.length > this.size - offset) throw this.#wrongLength("more");
      whole.set(bytes, offset);
      offset += bytes.length;
    }
    if (offset < this.size) throw this.#wrongLength("less");
    return whole.buffer;
  }

  async text(): Promise<string> {
    return new TextDecoder().decode(await this.arrayBuffer());
  }

  #wrongLength(than: "more" | "less"): StoreError {
    return new StoreError("corrupt", `the content of ${this.#name} has ${than} than the expected ${this.size} bytes`);
  }
}
