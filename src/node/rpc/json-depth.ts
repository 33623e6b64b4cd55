import { StoreError } from "../../error.ts";

/**
 * Maximum nesting depth of a JSON request. No message of our services is deeper, and protobuf's own
 * parsers stop at 100, too.
 */
const MAX_DEPTH = 100;
/** Bytes before each message of a stream: flags, and the length of the message. */
const PREFIX = 5;

const [QUOTE, BACKSLASH] = [0x22, 0x5c];
const [OPEN_ARRAY, CLOSE_ARRAY, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d];

/**
 * Passes on the JSON of a request, and refuses deeply nested values: `JSON.parse` takes a second
 * for a few megabytes of brackets, and other requests wait meanwhile.
 *
 * @param isStream whether the body is a stream of messages, each with a prefix
 * @throws StoreError `invalid` if a value is nested too deeply
 */
export async function* withBoundedDepth(body: AsyncIterable<Uint8Array>, isStream: boolean): AsyncGenerator<Uint8Array> {
  const scanner = new DepthScanner(isStream);
  for await (const bytes of body) {
    scanner.push(bytes);
    yield bytes;
  }
}

class DepthScanner {
  /** Number of prefix bytes read. */
  #prefix = 0;
  /** Length of the message, as far as it was read from the prefix. */
  #length = 0;
  /** Number of bytes of the current message that are still to be scanned. */
  #left = 0;
  #depth = 0;
  #inString = false;
  #escaped = false;

  constructor(isStream: boolean) {
    if (!isStream) this.#left = Number.POSITIVE_INFINITY;
  }

  push(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      if (this.#left === 0) {
        this.#beginMessage(bytes[at++] as number);
        continue;
      }
      const end = Math.min(bytes.length, at + this.#left);
      for (let i = at; i < end; i++) this.#scan(bytes[i] as number);
      this.#left -= end - at;
      at = end;
    }
  }

  #beginMessage(byte: number): void {
    if (this.#prefix > 0) this.#length = this.#length * 256 + byte;
    if (++this.#prefix < PREFIX) return;
    this.#left = this.#length;
    [this.#prefix, this.#length, this.#depth, this.#inString, this.#escaped] = [0, 0, 0, false, false];
  }

  #scan(byte: number): void {
    if (this.#inString) {
      if (this.#escaped) this.#escaped = false;
      else if (byte === BACKSLASH) this.#escaped = true;
      else if (byte === QUOTE) this.#inString = false;
    } else if (byte === QUOTE) this.#inString = true;
    else if (byte === OPEN_ARRAY || byte === OPEN_OBJECT) {
      if (++this.#depth > MAX_DEPTH)
        throw new StoreError("invalid", `the request has values that are nested ${this.#depth} levels deep`);
    } else if (byte === CLOSE_ARRAY || byte === CLOSE_OBJECT) this.#depth--;
  }
}
