import { EMPTY_BYTES, quoteBytes } from "../bytes.ts";
import { StoreError } from "../error.ts";
import { type Parsing, PushedBytes } from "./pushed-bytes.ts";
import { cString, isZeroBlock, parseTarHeader, TAR_BLOCK_SIZE, TarFault, type TarHeader, tarSize } from "./tar-header.ts";
import { type PaxAttributes, PaxReader } from "./tar-pax.ts";
import { SparseMap, SparseMapReader } from "./tar-sparse.ts";

export type TarEntryType = "file" | "hard link" | "symlink" | "directory";

export interface TarEntry {
  readonly type: TarEntryType;
  /** Path in the archive, unchecked. Only a directory may have an empty path. */
  readonly path: Uint8Array;
  /** Target of a hard link or symlink. */
  readonly linkPath: Uint8Array;
  /** Bytes of content, with the holes of a sparse file. 0 if the entry is not a file. */
  readonly size: number;
  /** Permission bits. Higher bits may be set too. */
  readonly mode: number;
}

export interface TarHandler {
  entry(entry: TarEntry): void;
  /** Part of the last entry's content: a view of the pushed bytes, or zeros. */
  content(bytes: Uint8Array): void;
  /** The last entry and its content are complete. */
  end(): void;
}

/** Longest name in bytes. */
const MAX_NAME_SIZE = 1024 * 1024;
/**
 * Maximum number of bytes in the holes of one archive. A few bytes of input can claim any number of
 * zeros.
 */
const MAX_HOLES = 64 * 1024 ** 3;
const ZEROS = new Uint8Array(256 * 1024);

const SLASH = 0x2f;

const UNSUPPORTED: Readonly<Record<string, string>> = {
  "3": "a character device, which a store path can't have",
  "4": "a block device, which a store path can't have",
  "6": "a FIFO, which a store path can't have",
  M: "the rest of a file that begins in another volume; join the volumes first",
};

/** A name from an extension. It replaces the name in the header. */
interface ExtendedName {
  readonly name: Uint8Array;
  readonly isPax: boolean;
}

/**
 * A streaming parser for tar. It reads v7, ustar (POSIX.1-1988), pax (POSIX.1-2001), and those
 * additions of GNU tar, star and Solaris that change what an entry becomes. It follows GNU tar,
 * bsdtar and Nix where they agree. Where they disagree, it follows Nix's `fetchTarball`, which
 * reads with libarchive. docs/formats.md lists the rules.
 *
 * Names stay bytes throughout, pax records included, because names in a store path are bytes.
 * Libraries for tar decode names.
 */
export class TarParser {
  readonly #handler: TarHandler;
  readonly #bytes: PushedBytes;
  /** Whether the archive may end here without its end marker. */
  #isBetweenEntries = false;

  #holes = 0;
  /** Whether the archive has pax headers. If it does, hard links may have content. */
  #isPax = false;
  /** Extensions for the next entry. */
  #pax: PaxAttributes | undefined;
  #path: ExtendedName | undefined;
  #linkPath: ExtendedName | undefined;

  constructor(handler: TarHandler) {
    this.#handler = handler;
    this.#bytes = new PushedBytes(this.#archive());
  }

  /**
   * Reads more bytes. Yields after each piece of a hole in a sparse file, so that the caller can
   * wait before the next one.
   *
   * @throws StoreError `invalid` with the offset of the header at fault
   */
  *push(chunk: Uint8Array): Generator<void> {
    try {
      yield* this.#bytes.push(chunk);
    } catch (error) {
      throw error instanceof TarFault ? this.#located(error.message) : error;
    }
  }

  /**
   * Ends the archive. Bytes after its end marker were ignored, as every tar program ignores them.
   * The marker may be missing after a complete entry.
   *
   * @throws StoreError `invalid` if the archive is empty or cut short
   */
  end(): void {
    if (this.#bytes.isDone) return;
    if (this.#bytes.offset === 0) throw this.#located("it is empty");
    if (!this.#isBetweenEntries || !this.#bytes.isBetweenRequests) throw this.#located("it is cut short");
  }

  *#archive(): Parsing {
    for (;;) {
      this.#isBetweenEntries = !this.#pax && !this.#path && !this.#linkPath;
      const block = yield { exactly: TAR_BLOCK_SIZE };
      this.#isBetweenEntries = false;
      if (isZeroBlock(block)) return;
      const header = parseTarHeader(block);
      switch (header.type) {
        // The label of a volume.
        case "V":
          yield* this.#skip(header.size);
          break;
        // "A" holds access rights by Solaris. "g" holds pax records for all entries, which Nix and
        // bsdtar ignore.
        case "A":
        case "g":
          this.#isPax = true;
          yield* this.#skip(header.size);
          break;
        case "x":
        case "X":
          yield* this.#readPax(header.size);
          break;
        case "L":
          this.#path = { name: yield* this.#readName(header.size), isPax: false };
          break;
        case "K":
          this.#linkPath = { name: yield* this.#readName(header.size), isPax: false };
          break;
        default:
          yield* this.#readEntry(header, block);
      }
    }
  }

  *#readPax(size: number): Parsing {
    this.#isPax = true;
    const reader = new PaxReader();
    for (let left = size; left > 0; ) {
      const bytes = yield { upTo: left };
      reader.push(bytes);
      left -= bytes.length;
    }
    reader.end();
    yield* this.#skipPadding(size);
    const { attributes } = reader;
    this.#pax = attributes;
    // If an entry has both a pax header and a long name by GNU tar, the later one counts.
    if (attributes.path?.length || this.#path?.isPax) this.#path = paxName(attributes.path);
    if (attributes.linkPath?.length || this.#linkPath?.isPax) this.#linkPath = paxName(attributes.linkPath);
  }

  *#readName(size: number): Parsing<Uint8Array> {
    if (size > MAX_NAME_SIZE) throw new TarFault(`a name is longer than ${MAX_NAME_SIZE} bytes`);
    const name = size > 0 ? cString(yield { exactly: size }) : EMPTY_BYTES;
    yield* this.#skipPadding(size);
    return name;
  }

  *#readEntry(header: TarHeader, block: Uint8Array): Parsing {
    const pax = this.#pax;
    const path = firstName(pax?.sparseName, this.#path?.name, header.path);
    const linkPath = firstName(this.#linkPath?.name, header.linkPath);
    const size = pax?.size ?? header.size;
    this.#pax = undefined;
    this.#path = undefined;
    this.#linkPath = undefined;
    const unsupported = UNSUPPORTED[header.type];
    if (unsupported !== undefined) throw new TarFault(`the entry ${quoteBytes(path)} is ${unsupported}`);
    const type = entryType(header.type, path);
    if (path.length === 0 && type !== "directory") throw new TarFault("an entry has no name");
    const entry = { type, path, linkPath, mode: header.mode };
    if (type === "file") {
      yield* this.#readFile(entry, size, header, block, pax);
      return;
    }
    this.#handler.entry({ ...entry, size: 0 });
    this.#handler.end();
    // The content of two types adds nothing: a dumped directory lists the names of its entries, and
    // a hard link repeats the bytes of its target.
    if (header.type === "D" || (type === "hard link" && this.#isPax)) yield* this.#skip(size);
  }

  *#readFile(
    entry: Omit<TarEntry, "size">,
    stored: number,
    header: TarHeader,
    block: Uint8Array,
    pax: PaxAttributes | undefined,
  ): Parsing {
    if (pax?.starSize !== undefined && pax.starSize !== stored)
      throw new TarFault(`the entry ${quoteBytes(entry.path)} is a sparse file in star's format, which can't be read`);
    let map = pax?.sparse;
    let dataSize = stored;
    if (header.type === "S" && header.isGnu) map = yield* this.#readOldMap(block, stored);
    else if (map?.major === 1 && map.minor === 0) dataSize -= yield* this.#readMap(map, stored);
    else if (map && map.major !== 0)
      throw new TarFault(`the entry ${quoteBytes(entry.path)} is a sparse file of an unknown version`);
    const size = map ? map.check(dataSize) : dataSize;
    this.#holes += size - dataSize;
    if (this.#holes > MAX_HOLES) throw new TarFault(`the holes of sparse files come to more than ${MAX_HOLES} bytes`);
    this.#handler.entry({ ...entry, size });
    if (map) yield* this.#sparseContent(map, size);
    else yield* this.#content(size);
    this.#handler.end();
    yield* this.#skipPadding(stored);
  }

  /** Reads the map in a header of GNU tar's old format, and in the blocks after it. */
  *#readOldMap(block: Uint8Array, stored: number): Parsing<SparseMap> {
    const map = new SparseMap();
    map.size = tarSize(block.subarray(483, 495));
    map.addOld(block, 386, 4);
    for (let isExtended = block[482] !== 0; isExtended; ) {
      const more = yield { exactly: TAR_BLOCK_SIZE };
      map.addOld(more, 0, 21);
      isExtended = more[504] !== 0;
    }
    if (map.offsets.length > 0) return map;
    // A file without segments has all its stored bytes at its beginning.
    map.add(0, stored);
    map.size = Math.max(map.size, stored);
    return map;
  }

  /**
   * Reads the map at the beginning of a sparse file's content.
   *
   * @returns bytes that the map takes, padding included
   */
  *#readMap(map: SparseMap, stored: number): Parsing<number> {
    const reader = new SparseMapReader(map);
    let taken = 0;
    while (!reader.isComplete) {
      taken += TAR_BLOCK_SIZE;
      if (taken > stored) throw new TarFault("a sparse file's map is longer than its content");
      reader.push(yield { exactly: TAR_BLOCK_SIZE });
    }
    return taken;
  }

  *#sparseContent(map: SparseMap, size: number): Parsing {
    let at = 0;
    for (const [i, offset] of map.offsets.entries()) {
      yield* this.#hole(offset - at);
      yield* this.#content(map.lengths[i] as number);
      at = offset + (map.lengths[i] as number);
    }
    yield* this.#hole(size - at);
  }

  *#content(size: number): Parsing {
    for (let left = size; left > 0; ) {
      const bytes = yield { upTo: left };
      this.#handler.content(bytes);
      left -= bytes.length;
    }
  }

  *#hole(size: number): Parsing {
    for (let left = size; left > 0; left -= ZEROS.length) {
      this.#handler.content(ZEROS.subarray(0, left));
      yield "taken";
    }
  }

  *#skip(size: number): Parsing {
    for (let left = Math.ceil(size / TAR_BLOCK_SIZE) * TAR_BLOCK_SIZE; left > 0; ) left -= (yield { upTo: left }).length;
  }

  *#skipPadding(size: number): Parsing {
    const padding = (TAR_BLOCK_SIZE - (size % TAR_BLOCK_SIZE)) % TAR_BLOCK_SIZE;
    if (padding > 0) yield { exactly: padding };
  }

  #located(message: string): StoreError {
    return new StoreError("invalid", `can't read the tar archive: near its byte ${this.#bytes.offset}, ${message}`);
  }
}

function entryType(flag: string, path: Uint8Array): TarEntryType {
  if (flag === "1") return "hard link";
  if (flag === "2") return "symlink";
  if (flag === "5" || flag === "D") return "directory";
  // Every other type is a file. The oldest archives mark a directory only by the slash at the end
  // of its name.
  return path.at(-1) === SLASH ? "directory" : "file";
}

function paxName(name: Uint8Array | undefined): ExtendedName | undefined {
  return name?.length ? { name, isPax: true } : undefined;
}

/** The first name that is not empty. */
function firstName(...names: (Uint8Array | undefined)[]): Uint8Array {
  return names.find((name) => name !== undefined && name.length > 0) ?? EMPTY_BYTES;
}
