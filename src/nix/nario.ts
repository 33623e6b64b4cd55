import { concatBytes, decodeUtf8Strict, EMPTY_BYTES, quote, utf8 } from "../bytes.ts";
import { StoreError } from "../error.ts";
import { formatContentAddress, parseContentAddress } from "./content-address.ts";
import { narPaddingLength, narTokenSize } from "./nar-grammar.ts";
import { type NarHandler, NarParser } from "./nar-parser.ts";
import { formatSignature, parseSignature } from "./signature.ts";
import { checkStorePath, formatStorePath, parseStorePath, STORE_DIR, storePathBaseName } from "./store-path.ts";

/**
 * Nario, the format of `nix-store --export` and of `nix nario` (its version 1). It holds several
 * store paths in one stream, each as a NAR and Nix's information about it. Numbers are 64-bit
 * little-endian. A text has its length before it, and zeros up to a multiple of eight after it:
 *
 *     nario   = { 1 nar 0x4558494e path references deriver notes } 0
 *     notes   = 0 | 1 text
 *
 * References are a count and as many store paths. An unknown deriver is empty. Nix 1 had a
 * signature in `notes`, and every later Nix skips the text there. This project uses the text for
 * facts that the format has no room for: the lines `Sig:` and `CA:` as in a NARInfo. So an export
 * followed by an import keeps these facts.
 */

/** A nario's information about a store path, besides its NAR. */
export interface NarioInfo {
  /** Absolute store path. */
  readonly storePath: string;
  /** Base names of the references. */
  readonly references: readonly string[];
  /** Base name of the deriver. */
  readonly deriver?: string | undefined;
  /** Signatures as `name:base64`. Only narios of this project have them. */
  readonly signatures: readonly string[];
  /** Content address as in a NARInfo. Only narios of this project have it. */
  readonly ca?: string | undefined;
}

/** The text "NIXE". */
const MAGIC = 0x4558494e;
/** The text "NARIO2": the beginning of the format that Determinate Nix writes by default. */
const VERSION_2 = 0x324f4952414e;

/** The bytes before each path's NAR. */
export const NARIO_PATH_START: Uint8Array = number(1);

/** The bytes at the end of a nario. */
export const NARIO_END: Uint8Array = number(0);

/** Maximum length of a store path in a nario, in bytes. */
const MAX_PATH_LENGTH = 1024;
/** Maximum number of references of one path. */
const MAX_REFERENCES = 250_000;
/** Maximum length of the notes, in bytes. */
const MAX_NOTES_LENGTH = 1024 * 1024;

/**
 * Encodes the part after the NAR of a path.
 *
 * @param options.notes whether to include signatures and the content address; true by default.
 *   Without them the bytes equal the output of `nix-store --export`
 */
export function formatNarioInfo(
  { storePath, references, deriver, signatures, ca }: NarioInfo,
  { notes = true }: { notes?: boolean | undefined } = {},
): Uint8Array {
  const absolute = (path: string): string => formatStorePath(parseStorePath(path));
  const lines = notes ? formatNotes(signatures, ca) : "";
  return concatBytes([
    number(MAGIC),
    text(absolute(storePath)),
    number(references.length),
    ...[...references].sort().map((reference) => text(absolute(reference))),
    text(deriver === undefined ? "" : absolute(deriver)),
    ...(lines === "" ? [number(0)] : [number(1), text(lines)]),
  ]);
}

function formatNotes(signatures: readonly string[], ca: string | undefined): string {
  const lines = signatures.map((signature) => `Sig: ${formatSignature(parseSignature(signature))}\n`);
  if (ca !== undefined) lines.push(`CA: ${formatContentAddress(parseContentAddress(ca))}\n`);
  return lines.join("");
}

/**
 * Reads one nario, or several consecutive ones, from pieces. It holds one piece in memory, and the
 * information about one path.
 */
export class NarioReader {
  readonly #source: AsyncIterator<Uint8Array>;
  #piece: Uint8Array = EMPTY_BYTES;
  #offset = 0;
  #isInNar = false;
  #hasEnded = false;

  /** @param source pieces of the narios; only `close` ends it */
  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /**
   * Moves to the next store path. Read its NAR to its end, then call `info`.
   *
   * @returns the pieces of the NAR, or `undefined` if there are no more store paths
   * @throws StoreError `invalid`
   */
  async next(): Promise<AsyncGenerator<Uint8Array> | undefined> {
    if (this.#isInNar) throw new StoreError("internal", "the caller did not read a nario's NAR to its end");
    for (;;) {
      // After the end of one nario another may follow.
      if (this.#hasEnded && !(await this.#hasMore())) return undefined;
      const mark = await this.#number();
      this.#hasEnded = mark === 0;
      if (mark === 1) break;
      if (mark === VERSION_2) throw this.#invalid("it is in version 2 of the format; export it with --format 1");
      if (mark !== 0) throw this.#invalid("this is not a nario as nix-store --export writes it");
    }
    this.#isInNar = true;
    return this.#nar();
  }

  /**
   * Reads the information about the store path whose NAR was just read.
   *
   * @throws StoreError `invalid`
   */
  async info(): Promise<NarioInfo> {
    if ((await this.#number()) !== MAGIC) throw this.#invalid("the mark after a NAR is missing");
    const storePath = formatStorePath(parseStorePath(await this.#path("store path")));
    const count = await this.#number();
    if (count > MAX_REFERENCES) throw this.#invalid(`${storePath} has too many references (${count})`);
    const references: string[] = [];
    for (let i = 0; i < count; i++) references.push(storePathBaseName(parseStorePath(await this.#path("reference"))));
    const deriver = await this.#text(MAX_PATH_LENGTH, "deriver");
    const hasNotes = (await this.#number()) === 1;
    const notes = hasNotes ? readNotes(await this.#bytes(MAX_NOTES_LENGTH, "notes")) : { signatures: [] };
    return { storePath, references, ...(deriver !== "" && { deriver: storePathBaseName(parseStorePath(deriver)) }), ...notes };
  }

  /** Ends the source, if it has not ended. */
  async close(): Promise<void> {
    await this.#source.return?.();
  }

  /**
   * Yields the pieces of the current NAR. Checks its structure only as far as needed to find its
   * end.
   */
  async *#nar(): AsyncGenerator<Uint8Array> {
    const parser = new NarParser(IGNORED);
    for (;;) {
      if (!(await this.#hasMore())) throw this.#invalid("it ends in the middle of a NAR");
      const piece = this.#piece;
      const rest = parser.pushPart(piece);
      this.#piece = rest ?? EMPTY_BYTES;
      const length = piece.length - this.#piece.length;
      this.#offset += length;
      // Update the state before the last piece, because its reader may not ask for more.
      if (rest) this.#isInNar = false;
      yield piece.subarray(0, length);
      if (rest) return;
    }
  }

  async #hasMore(): Promise<boolean> {
    while (this.#piece.length === 0) {
      const { value, done } = await this.#source.next();
      if (done) return false;
      this.#piece = value;
    }
    return true;
  }

  async #path(what: string): Promise<string> {
    const path = await this.#text(MAX_PATH_LENGTH, what);
    checkStorePath(path);
    if (!path.startsWith(`${STORE_DIR}/`)) throw this.#invalid(`a ${what} is not absolute: ${quote(path)}`);
    return path;
  }

  async #text(maxLength: number, what: string): Promise<string> {
    const decoded = decodeUtf8Strict(await this.#bytes(maxLength, what));
    if (decoded === undefined) throw this.#invalid(`a ${what} is not UTF-8`);
    return decoded;
  }

  async #bytes(maxLength: number, what: string): Promise<Uint8Array> {
    const length = await this.#number();
    if (length > maxLength) throw this.#invalid(`the ${what} has ${length} bytes; the limit is ${maxLength}`);
    const bytes = await this.#take(length);
    const padding = await this.#take(narPaddingLength(length));
    if (padding.some((byte) => byte !== 0)) throw this.#invalid("the padding is not zero");
    return bytes;
  }

  /** Reads a number. Numbers above 2^53 are rounded, but no valid number here is that large. */
  async #number(): Promise<number> {
    const bytes = await this.#take(8);
    return Number(new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true));
  }

  /** Takes `length` bytes. Copies them only if they lie in several pieces. */
  async #take(length: number): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    for (let missing = length; missing > 0; ) {
      if (!(await this.#hasMore())) throw this.#invalid("it ends too early");
      const part = this.#piece.subarray(0, missing);
      this.#piece = this.#piece.subarray(part.length);
      this.#offset += part.length;
      missing -= part.length;
      parts.push(part);
    }
    return parts.length === 1 ? (parts[0] as Uint8Array) : concatBytes(parts);
  }

  #invalid(problem: string): StoreError {
    return new StoreError("invalid", `nario, byte ${this.#offset}: ${problem}`);
  }
}

/** Reads the notes. Ignores a text of another origin, for example an old signature. */
function readNotes(bytes: Uint8Array): Pick<NarioInfo, "signatures" | "ca"> {
  const signatures: string[] = [];
  let ca: string | undefined;
  try {
    for (const line of (decodeUtf8Strict(bytes) ?? "").split("\n")) {
      if (line.startsWith("Sig: ")) signatures.push(formatSignature(parseSignature(line.slice(5))));
      else if (line.startsWith("CA: ")) ca = formatContentAddress(parseContentAddress(line.slice(4)));
    }
  } catch {
    return { signatures: [] };
  }
  return { signatures, ...(ca !== undefined && { ca }) };
}

/** A handler for a NAR whose contents don't matter. */
const IGNORED: NarHandler = {
  directory() {},
  entry() {},
  leave() {},
  file() {},
  content() {},
  endFile() {},
  symlink() {},
};

function number(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value), true);
  return bytes;
}

function text(value: string): Uint8Array {
  const bytes = utf8(value);
  const token = new Uint8Array(narTokenSize(bytes.length));
  token.set(number(bytes.length));
  token.set(bytes, 8);
  return token;
}
