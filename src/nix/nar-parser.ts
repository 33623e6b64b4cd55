import { compareBytes, quoteBytes, utf8 } from "../bytes.ts";
import { StoreError } from "../error.ts";
import {
  NAR_MAGIC,
  NAR_MAX_NAME_LENGTH,
  NAR_MAX_TARGET_LENGTH,
  narNameProblem,
  narPaddingLength,
  narPath,
  narTargetProblem,
  narTokens,
} from "./nar-grammar.ts";
import { NarTokenizer } from "./nar-tokenizer.ts";

/**
 * Receives the contents of an archive, in the archive's order. `NarWriter` is a handler that writes
 * the same archive again.
 *
 * The first call is for the root node (`directory`, `file` or `symlink`). Each further node follows
 * a call of `entry`. An error thrown by a method ends the parsing, and `push` throws it.
 */
export interface NarHandler {
  /** The node is a directory. Its entries follow, then `leave`. */
  directory(): void;
  /**
   * The innermost directory has an entry, whose node follows. The handler may keep `name`, but must
   * not change it.
   */
  entry(name: Uint8Array): void;
  /** The innermost directory ends. */
  leave(): void;
  /** The node is a file of `size` bytes. Its content follows, then `endFile`. */
  file(size: number, executable: boolean): void;
  /**
   * Receives a piece of the file's content, never empty. It is a view of the pushed bytes, valid
   * only during the call. All pieces together have `size` bytes.
   */
  content(bytes: Uint8Array): void;
  endFile(): void;
  /** The node is a symlink. The handler may keep `target`. */
  symlink(target: Uint8Array): void;
}

export interface NarLimits {
  /** Maximum depth of nested directories, including the root; 1024 by default. */
  maxDepth?: number | undefined;
}

/** States of the parser: the part of the archive that comes next. */
const MAGIC = 0;
const OPEN = 1;
const TYPE = 2;
const KIND = 3;
const EXECUTABLE_OR_CONTENTS = 4;
const EXECUTABLE_VALUE = 5;
const CONTENTS = 6;
const LENGTH = 7;
const CONTENT = 8;
const PADDING = 9;
const TARGET_KEY = 10;
const TARGET = 11;
const CLOSE = 12;
const CLOSE_ENTRY = 13;
const ENTRY_OR_CLOSE = 14;
const ENTRY_OPEN = 15;
const NAME_KEY = 16;
const NAME = 17;
const NODE = 18;
const END = 19;

/** For each state that allows only one token: the token and the next state. */
const EXPECTED: readonly (readonly [token: Uint8Array, next: number] | undefined)[] = (() => {
  const table: (readonly [Uint8Array, number] | undefined)[] = new Array(END + 1).fill(undefined);
  table[MAGIC] = [utf8(NAR_MAGIC), OPEN];
  table[OPEN] = [utf8("("), TYPE];
  table[TYPE] = [utf8("type"), KIND];
  table[EXECUTABLE_VALUE] = [utf8(""), CONTENTS];
  table[CONTENTS] = [utf8("contents"), LENGTH];
  table[TARGET_KEY] = [utf8("target"), TARGET];
  table[CLOSE_ENTRY] = [utf8(")"), ENTRY_OR_CLOSE];
  table[ENTRY_OPEN] = [utf8("("), NAME_KEY];
  table[NAME_KEY] = [utf8("name"), NAME];
  table[NODE] = [utf8("node"), OPEN];
  return table;
})();

const REGULAR_TOKEN = utf8("regular");
const DIRECTORY_TOKEN = utf8("directory");
const SYMLINK_TOKEN = utf8("symlink");
const EXECUTABLE_TOKEN = utf8("executable");
const CONTENTS_TOKEN = utf8("contents");
const ENTRY_TOKEN = utf8("entry");
const CLOSE_TOKEN = utf8(")");

/**
 * Token sequences around name and content that most entries have. The parser takes each as a whole,
 * because one token costs as much as the content of a short file.
 */
const REGULAR_NODE = narTokens("node", "(", "type", "regular", "contents");
const NEXT_ENTRY = narTokens(")", ")", "entry", "(", "name");

const MAX_KEYWORD_LENGTH = NAR_MAGIC.length;
const DEFAULT_MAX_DEPTH = 1024;

/**
 * Parses an archive that comes in pieces. It accepts exactly the archives that Nix itself writes:
 * for a valid archive `NarWriter` produces the same bytes again.
 *
 * The parser is synchronous, because a call per token costs far less than a promise per token.
 * Between two pushes it keeps the names on the path to the current entry and the bytes of at most
 * one token. It never allocates memory for a length that the archive only claims.
 *
 * Errors are `StoreError`s with code `invalid` that name the entry and the byte offset. After an
 * error every further call throws the same error.
 */
export class NarParser {
  readonly #handler: NarHandler;
  readonly #maxDepth: number;
  readonly #tokens = new NarTokenizer((offset, problem) => this.#error(offset, problem));
  #state: number = MAGIC;
  #failure: { readonly reason: unknown } | undefined;
  #ended = false;
  /**
   * Name of the latest entry of each open directory. The names are the path for errors, and the
   * last one is compared with the next name.
   */
  readonly #names: (Uint8Array | undefined)[] = [];
  #executable = false;
  /** Bytes left of the content; `#padding` counts the padding after it. */
  #remaining = 0;
  #padding = 0;

  constructor(handler: NarHandler, limits: NarLimits = {}) {
    this.#handler = handler;
    this.#maxDepth = limits.maxDepth ?? DEFAULT_MAX_DEPTH;
  }

  /**
   * Number of parsed bytes. During `file` it is the offset of the file's content. During `content`
   * it is the offset of the piece's end.
   */
  get bytesRead(): number {
    return this.#tokens.offset;
  }

  /**
   * Parses `chunk`. The caller may reuse it after the call.
   *
   * @throws StoreError `invalid`
   */
  push(chunk: Uint8Array): void {
    this.#guard(() => {
      if (this.#ended) throw new StoreError("invalid", "NAR: push() was called after the archive's end");
      this.#tokens.next(chunk);
      while (this.#step());
    });
  }

  /**
   * Parses `chunk` up to the archive's end, for an archive with other data behind it.
   *
   * @returns a view of the data behind the archive in `chunk`, or `undefined` if the archive goes
   *   on
   * @throws StoreError `invalid`
   */
  pushPart(chunk: Uint8Array): Uint8Array | undefined {
    return this.#guard(() => {
      if (this.#ended) throw new StoreError("invalid", "NAR: pushPart() was called after the archive's end");
      this.#tokens.next(chunk);
      while (this.#state !== END && this.#step());
      if (this.#state !== END) return undefined;
      this.#ended = true;
      return this.#tokens.take(chunk.length);
    });
  }

  /**
   * Ends the input.
   *
   * @throws StoreError `invalid` if the archive is not complete
   */
  end(): void {
    this.#guard(() => {
      if (this.#state !== END) throw this.#error(this.bytesRead, "it ends too early");
      this.#ended = true;
    });
  }

  #guard<T>(step: () => T): T {
    if (this.#failure !== undefined) throw this.#failure.reason;
    try {
      return step();
    } catch (reason) {
      this.#failure = { reason };
      throw reason;
    }
  }

  /** Takes one item from the chunk. Returns false if the rest of the chunk is too short. */
  #step(): boolean {
    switch (this.#state) {
      case CONTENT:
        return this.#content();
      case PADDING:
        return this.#skipPadding();
      case LENGTH:
        return this.#contentLength();
      case END:
        if (!this.#tokens.drained) throw this.#error(this.bytesRead, "there are bytes after its end");
        return false;
      case NAME:
        if (!this.#tokens.readToken(NAR_MAX_NAME_LENGTH)) return false;
        this.#name(this.#tokens.copy());
        return true;
      case TARGET:
        if (!this.#tokens.readToken(NAR_MAX_TARGET_LENGTH)) return false;
        this.#target(this.#tokens.copy());
        return true;
      default:
        if (this.#usual()) return true;
        if (!this.#tokens.readToken(MAX_KEYWORD_LENGTH)) return false;
        this.#keyword();
        return true;
    }
  }

  /** Takes several keywords at once if they are the most common ones. */
  #usual(): boolean {
    if (this.#state === NODE && this.#tokens.skip(REGULAR_NODE)) {
      this.#executable = false;
      this.#state = LENGTH;
    } else if (this.#state === CLOSE && this.#names.length > 0 && this.#tokens.skip(NEXT_ENTRY)) {
      this.#state = NAME;
    } else {
      return false;
    }
    return true;
  }

  #keyword(): void {
    const expected = EXPECTED[this.#state];
    if (expected !== undefined) {
      if (!this.#tokens.is(expected[0])) throw this.#unexpected();
      this.#state = expected[1];
    } else if (this.#state === KIND) {
      this.#kind();
    } else if (this.#state === EXECUTABLE_OR_CONTENTS) {
      this.#executable = this.#tokens.is(EXECUTABLE_TOKEN);
      if (!this.#executable && !this.#tokens.is(CONTENTS_TOKEN)) throw this.#unexpected();
      this.#state = this.#executable ? EXECUTABLE_VALUE : LENGTH;
    } else if (this.#state === ENTRY_OR_CLOSE && this.#tokens.is(ENTRY_TOKEN)) {
      this.#state = ENTRY_OPEN;
    } else if (this.#tokens.is(CLOSE_TOKEN)) {
      this.#close();
    } else {
      throw this.#unexpected();
    }
  }

  #kind(): void {
    if (this.#tokens.is(REGULAR_TOKEN)) {
      this.#state = EXECUTABLE_OR_CONTENTS;
    } else if (this.#tokens.is(SYMLINK_TOKEN)) {
      this.#state = TARGET_KEY;
    } else if (this.#tokens.is(DIRECTORY_TOKEN)) {
      if (this.#names.length >= this.#maxDepth) {
        throw this.#error(this.#tokens.tokenOffset, `more than ${this.#maxDepth} nested directories`);
      }
      this.#names.push(undefined);
      this.#state = ENTRY_OR_CLOSE;
      this.#handler.directory();
    } else {
      throw this.#unexpected();
    }
  }

  #close(): void {
    const directory = this.#state === ENTRY_OR_CLOSE;
    if (directory) this.#names.pop();
    this.#state = this.#names.length === 0 ? END : CLOSE_ENTRY;
    if (directory) this.#handler.leave();
  }

  #name(name: Uint8Array): void {
    const problem = narNameProblem(name);
    if (problem !== undefined) throw this.#error(this.#tokens.tokenOffset, `${problem}: ${quoteBytes(name)}`);
    const previous = this.#names.at(-1);
    if (previous !== undefined && compareBytes(previous, name) >= 0) {
      const order = `the name ${quoteBytes(name)} does not sort after ${quoteBytes(previous)}`;
      throw this.#error(this.#tokens.tokenOffset, order);
    }
    this.#names[this.#names.length - 1] = name;
    this.#state = NODE;
    this.#handler.entry(name);
  }

  #target(target: Uint8Array): void {
    const problem = narTargetProblem(target);
    if (problem !== undefined) throw this.#error(this.#tokens.tokenOffset, problem);
    this.#state = CLOSE;
    this.#handler.symlink(target);
  }

  #contentLength(): boolean {
    const size = this.#tokens.readLength();
    if (size === undefined) return false;
    if (size > Number.MAX_SAFE_INTEGER) throw this.#error(this.#tokens.tokenOffset, "the file is 2^53 bytes or longer");
    this.#remaining = size;
    this.#padding = narPaddingLength(size);
    this.#state = size === 0 ? PADDING : CONTENT;
    this.#handler.file(size, this.#executable);
    return true;
  }

  #content(): boolean {
    const bytes = this.#tokens.take(this.#remaining);
    if (bytes.length === 0) return false;
    this.#remaining -= bytes.length;
    if (this.#remaining === 0) this.#state = PADDING;
    this.#handler.content(bytes);
    return true;
  }

  #skipPadding(): boolean {
    const bytes = this.#tokens.take(this.#padding);
    for (const byte of bytes) if (byte !== 0) throw this.#error(this.bytesRead - bytes.length, "the padding is not zero");
    this.#padding -= bytes.length;
    if (this.#padding > 0) return false;
    this.#state = CLOSE;
    this.#handler.endFile();
    return true;
  }

  #unexpected(): StoreError {
    return this.#error(this.#tokens.tokenOffset, `unexpected token ${quoteBytes(this.#tokens.copy())}`);
  }

  #error(offset: number, problem: string): StoreError {
    const inDirectory = this.#state >= ENTRY_OR_CLOSE && this.#state <= NAME;
    const names = (inDirectory ? this.#names.slice(0, -1) : this.#names).filter((name) => name !== undefined);
    const entry = names.length === 0 ? "" : ` entry ${quoteBytes(narPath(names))}`;
    return new StoreError("invalid", `NAR${entry}, byte ${offset}: ${problem}`);
  }
}
