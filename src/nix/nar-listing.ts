import { decodeUtf8Strict, quoteBytes } from "../bytes.ts";
import { StoreError } from "../error.ts";
import { untilAborted } from "../until-aborted.ts";
import { type NarHandler, type NarLimits, NarParser } from "./nar-parser.ts";

/** The tree of an archive, without the content of its files. */
export interface NarListing {
  readonly root: NarListingNode;
}

export type NarListingNode =
  | {
      readonly type: "regular";
      /** Size of the file, in bytes. */
      readonly size: number;
      readonly executable: boolean;
      /** Byte offset of the content in the archive. */
      readonly narOffset: number;
    }
  | { readonly type: "symlink"; readonly target: Uint8Array }
  | { readonly type: "directory"; readonly entries: readonly NarListingEntry[] };

export interface NarListingEntry {
  readonly name: Uint8Array;
  readonly node: NarListingNode;
}

export interface NarListingOptions extends NarLimits {
  signal?: AbortSignal | undefined;
  /** Maximum number of entries in the tree; a million by default. */
  maxEntries?: number | undefined;
  /** Maximum size of all names and targets together, in bytes; 64 MiB by default. */
  maxTextBytes?: number | undefined;
}

const DEFAULT_MAX_ENTRIES = 1_000_000;
const DEFAULT_MAX_TEXT_BYTES = 64 * 1024 * 1024;

/**
 * Reads an archive to its end and lists it. Its memory holds the tree, whose size the options
 * limit.
 *
 * Rejects with a StoreError `invalid` for an invalid archive or too many entries, with
 * `signal.reason` if aborted, and with the error of the stream. Cancels the stream if it does not
 * read it to its end.
 */
export async function listNar(
  stream: ReadableStream<Uint8Array> | AsyncIterable<Uint8Array>,
  options: NarListingOptions = {},
): Promise<NarListing> {
  const { signal } = options;
  const builder = new ListingBuilder(options);
  const parser: NarParser = new NarParser(builder, options);
  builder.offset = () => parser.bytesRead;

  const chunks = chunksOf(stream);
  let done = false;
  try {
    for (;;) {
      const result = await untilAborted(chunks.next(), signal);
      if (result.done) break;
      parser.push(result.value);
    }
    done = true;
    parser.end();
    return { root: builder.root() };
  } finally {
    // Ignore errors of closing, because the first error is already on its way. Don't wait either,
    // because the stream may hang.
    if (!done) chunks.close().catch(() => {});
  }
}

interface Chunks {
  next(): Promise<IteratorResult<Uint8Array, unknown>>;
  close(): Promise<unknown>;
}

function chunksOf(stream: ReadableStream<Uint8Array> | AsyncIterable<Uint8Array>): Chunks {
  if ("getReader" in stream) {
    const reader = stream.getReader();
    return {
      next: async () => {
        const { done, value } = await reader.read();
        return done ? { done: true, value: undefined } : { done: false, value };
      },
      close: () => reader.cancel(),
    };
  }
  const iterator = stream[Symbol.asyncIterator]();
  return { next: () => iterator.next(), close: async () => iterator.return?.() };
}

class ListingBuilder implements NarHandler {
  offset: () => number = () => 0;
  readonly #maxEntries: number;
  readonly #maxTextBytes: number;
  #entries = 0;
  #textBytes = 0;
  #root: NarListingNode | undefined;
  /** Entries of each open directory, the innermost last. */
  readonly #open: NarListingEntry[][] = [];
  #name: Uint8Array | undefined;

  constructor(options: NarListingOptions) {
    this.#maxEntries = options.maxEntries ?? DEFAULT_MAX_ENTRIES;
    this.#maxTextBytes = options.maxTextBytes ?? DEFAULT_MAX_TEXT_BYTES;
  }

  root(): NarListingNode {
    if (this.#root === undefined) throw new StoreError("internal", "a NAR without a root was accepted");
    return this.#root;
  }

  directory(): void {
    const entries: NarListingEntry[] = [];
    this.#add({ type: "directory", entries });
    this.#open.push(entries);
  }

  entry(name: Uint8Array): void {
    if (++this.#entries > this.#maxEntries) throw new StoreError("invalid", `NAR: more than ${this.#maxEntries} entries`);
    this.#countText(name);
    this.#name = name;
  }

  leave(): void {
    this.#open.pop();
  }

  file(size: number, executable: boolean): void {
    this.#add({ type: "regular", size, executable, narOffset: this.offset() });
  }

  content(): void {}

  endFile(): void {}

  symlink(target: Uint8Array): void {
    this.#countText(target);
    this.#add({ type: "symlink", target });
  }

  #countText(bytes: Uint8Array): void {
    this.#textBytes += bytes.length;
    if (this.#textBytes > this.#maxTextBytes)
      throw new StoreError("invalid", `NAR: more than ${this.#maxTextBytes} bytes of names and targets`);
  }

  #add(node: NarListingNode): void {
    const directory = this.#open.at(-1);
    if (directory === undefined || this.#name === undefined) this.#root = node;
    else directory.push({ name: this.#name, node });
  }
}

/** The parsed output of `narListingToJson`. */
export interface NarListingJson {
  readonly version: 1;
  readonly root: NarListingJsonNode;
}

export type NarListingJsonNode =
  /** `size` is in bytes; `narOffset` is the byte offset of the content in the NAR. */
  | { readonly type: "regular"; readonly size: number; readonly executable?: true; readonly narOffset: number }
  | { readonly type: "symlink"; readonly target: string }
  | { readonly type: "directory"; readonly entries: { readonly [name: string]: NarListingJsonNode } };

/**
 * Writes a listing as a binary cache serves it in the file `<hash part>.ls`: version 1, on one
 * line, entries in the archive's order.
 *
 * @throws StoreError `invalid` if a name or a target is not UTF-8, because JSON can't express it
 */
export function narListingToJson(listing: NarListing): string {
  return `${LISTING_START}${nodeToJson(listing.root)}${LISTING_END}`;
}

/** JSON before the root of a listing. */
export const LISTING_START = '{"version":1,"root":';
/** JSON after the root. */
export const LISTING_END = "}";

function nodeToJson(node: NarListingNode): string {
  if (node.type !== "directory") return listedLeafToJson(node);
  const entries = node.entries.map(({ name, node }) => `${listedTextToJson(name)}:${nodeToJson(node)}`);
  return `{"type":"directory","entries":{${entries.join(",")}}}`;
}

export function listedLeafToJson(node: Exclude<NarListingNode, { type: "directory" }>): string {
  if (node.type === "symlink") return `{"type":"symlink","target":${listedTextToJson(node.target)}}`;
  const executable = node.executable ? `,"executable":true` : "";
  return `{"type":"regular","size":${node.size}${executable},"narOffset":${node.narOffset}}`;
}

/**
 * Returns a name or a symlink target as a JSON string.
 *
 * @throws StoreError `invalid` if it is not UTF-8
 */
export function listedTextToJson(bytes: Uint8Array): string {
  const text = decodeUtf8Strict(bytes);
  if (text === undefined)
    throw new StoreError("invalid", `a NAR listing can't express a name that is not UTF-8: ${quoteBytes(bytes)}`);
  return JSON.stringify(text);
}
