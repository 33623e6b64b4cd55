import { compareBytes, quoteBytes } from "../bytes.ts";
import { StoreError } from "../error.ts";
import { NAR_MAGIC, narNameProblem, narPaddingLength, narPath, narTargetProblem, narTokens } from "./nar-grammar.ts";
import type { NarHandler } from "./nar-parser.ts";

const HEADER = narTokens(NAR_MAGIC);
const DIRECTORY = narTokens("(", "type", "directory");
const FILE = narTokens("(", "type", "regular", "contents");
const EXECUTABLE_FILE = narTokens("(", "type", "regular", "executable", "", "contents");
const SYMLINK = narTokens("(", "type", "symlink", "target");
const ENTRY = narTokens("entry", "(", "name");
const NODE = narTokens("node");
const CLOSE = narTokens(")");

const FIRST_BUFFER_SIZE = 4096;
const MAX_BUFFER_SIZE = 64 * 1024;

/**
 * Content of at least this many bytes is passed on without a copy. Smaller content is collected.
 */
const PASS_THROUGH_SIZE = 16 * 1024;

/** The call that may come next. */
type State = "node" | "content" | "entry" | "end" | "ended" | "failed";

/**
 * Writes an archive. The calls come in the archive's own order: a node; for a directory each
 * `entry` with its node, then `leave`.
 *
 * The bytes go to `sink` in order. The receiver may keep or transfer a buffer that the writer
 * filled, because nothing else refers to it. Large content is passed on as the caller's own view,
 * without a copy.
 *
 * The writer throws instead of writing an invalid archive. The `StoreError` has the code `invalid`
 * for a bad name or target, for names out of order, or for a call in the wrong order. It has the
 * code `corrupt` if a file's content doesn't have the declared length. After that, every call
 * throws.
 */
export class NarWriter implements NarHandler {
  readonly #sink: (bytes: Uint8Array) => void;
  #buffer: Uint8Array = new Uint8Array(FIRST_BUFFER_SIZE);
  #used = 0;
  #handedOver = 0;
  #state: State = "node";
  /** Name of the latest entry of each open directory. */
  readonly #names: (Uint8Array | undefined)[] = [];
  #size = 0;
  #remaining = 0;

  constructor(sink: (bytes: Uint8Array) => void) {
    this.#sink = sink;
    this.#write(HEADER);
  }

  /** Size of the archive so far, including bytes still in the buffer. */
  get bytesWritten(): number {
    return this.#handedOver + this.#used;
  }

  directory(): void {
    this.#expect("node", "directory");
    this.#write(DIRECTORY);
    this.#names.push(undefined);
    this.#state = "entry";
  }

  /** Begins an entry of the innermost directory; names must ascend. */
  entry(name: Uint8Array): void {
    this.#expect("entry", "entry");
    const problem = narNameProblem(name);
    if (problem !== undefined) this.#fail("invalid", `${problem}: ${quoteBytes(name)}`);
    const previous = this.#names.at(-1);
    if (previous !== undefined && compareBytes(previous, name) >= 0) {
      this.#fail("invalid", `the name ${quoteBytes(name)} does not sort after ${quoteBytes(previous)}`);
    }
    this.#names[this.#names.length - 1] = name.slice();
    this.#write(ENTRY);
    this.#writeToken(name);
    this.#write(NODE);
    this.#state = "node";
  }

  leave(): void {
    this.#expect("entry", "leave");
    this.#names.pop();
    this.#closeNode();
  }

  /** Begins a file of `size` bytes. Any number of `content` calls follow, then `endFile`. */
  file(size: number, executable: boolean): void {
    this.#expect("node", "file");
    if (!Number.isSafeInteger(size) || size < 0) this.#fail("invalid", `a file can't have ${size} bytes`);
    this.#write(executable ? EXECUTABLE_FILE : FILE);
    this.#writeLength(size);
    this.#size = size;
    this.#remaining = size;
    this.#state = "content";
  }

  content(bytes: Uint8Array): void {
    this.#expect("content", "content");
    if (bytes.length > this.#remaining) this.#fail("corrupt", `the content is longer than the declared ${this.#size} bytes`);
    this.#remaining -= bytes.length;
    if (bytes.length < PASS_THROUGH_SIZE) {
      this.#write(bytes);
    } else {
      this.flush();
      this.#handOver(bytes);
    }
  }

  /**
   * Counts `length` bytes of content as written without passing them on, for a reader who wants a
   * later part. Passes on the bytes before them first, so the next piece begins after the gap.
   */
  skipContent(length: number): void {
    this.#expect("content", "skipContent");
    if (length > this.#remaining) this.#fail("corrupt", `the content is longer than the declared ${this.#size} bytes`);
    this.flush();
    this.#remaining -= length;
    this.#handedOver += length;
  }

  endFile(): void {
    this.#expect("content", "endFile");
    if (this.#remaining > 0)
      this.#fail("corrupt", `the content is ${this.#remaining} bytes shorter than the declared ${this.#size}`);
    this.#writePadding(this.#size);
    this.#closeNode();
  }

  symlink(target: Uint8Array): void {
    this.#expect("node", "symlink");
    const problem = narTargetProblem(target);
    if (problem !== undefined) this.#fail("invalid", problem);
    this.#write(SYMLINK);
    this.#writeToken(target);
    this.#closeNode();
  }

  /** Passes on the remaining bytes. Call it once, after the root node is complete. */
  end(): void {
    this.#expect("end", "end");
    this.flush();
    this.#state = "ended";
  }

  /** Passes on the bytes collected so far, for a reader who waits. */
  flush(): void {
    if (this.#used === 0) return;
    // A copy of few bytes is cheaper than giving away a nearly empty buffer.
    if (this.#used < this.#buffer.length / 4) {
      const bytes = this.#buffer.slice(0, this.#used);
      this.#used = 0;
      this.#handOver(bytes);
    } else {
      this.#handOverBuffer();
    }
  }

  #closeNode(): void {
    this.#write(CLOSE);
    if (this.#names.length > 0) this.#write(CLOSE);
    this.#state = this.#names.length > 0 ? "entry" : "end";
  }

  #writeToken(bytes: Uint8Array): void {
    this.#writeLength(bytes.length);
    this.#write(bytes);
    this.#writePadding(bytes.length);
  }

  #writeLength(length: number): void {
    this.#reserve(8);
    const buffer = this.#buffer;
    let at = this.#used;
    for (let low = length % 0x1_0000_0000, i = 0; i < 4; i++, low >>>= 8) buffer[at++] = low & 0xff;
    for (let high = Math.floor(length / 0x1_0000_0000), i = 0; i < 4; i++, high >>>= 8) buffer[at++] = high & 0xff;
    this.#used = at;
  }

  #writePadding(length: number): void {
    const count = narPaddingLength(length);
    this.#reserve(count);
    this.#buffer.fill(0, this.#used, this.#used + count);
    this.#used += count;
  }

  #write(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#buffer.set(bytes, this.#used);
    this.#used += bytes.length;
  }

  /** Makes room for `count` bytes, which are always fewer than the largest buffer. */
  #reserve(count: number): void {
    if (this.#used + count <= this.#buffer.length) return;
    this.#handOverBuffer();
    if (count > this.#buffer.length) this.#buffer = new Uint8Array(MAX_BUFFER_SIZE);
  }

  #handOverBuffer(): void {
    const bytes = this.#buffer.subarray(0, this.#used);
    this.#buffer = new Uint8Array(Math.min(MAX_BUFFER_SIZE, this.#buffer.length * 2));
    this.#used = 0;
    if (bytes.length > 0) this.#handOver(bytes);
  }

  #handOver(bytes: Uint8Array): void {
    this.#handedOver += bytes.length;
    this.#sink(bytes);
  }

  #expect(state: State, call: string): void {
    if (this.#state !== state) this.#fail("invalid", `${call}() was called in the wrong order (state: ${this.#state})`);
  }

  #fail(code: "invalid" | "corrupt", problem: string): never {
    const names = this.#names.filter((name) => name !== undefined);
    const entry = names.length === 0 ? "" : ` entry ${quoteBytes(narPath(names))}`;
    this.#state = "failed";
    throw new StoreError(code, `writing NAR${entry}: ${problem}`);
  }
}
