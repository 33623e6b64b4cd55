import { equalBytes, quote } from "../bytes.ts";
import { decompressed, decompressedAs } from "../compression/decompress.ts";
import { StoreError } from "../error.ts";
import type { HashEngine } from "../hash/engine.ts";
import { CACHE_INFO_MAX_LENGTH, type CacheInfo, parseCacheInfo } from "../nix/cache-info.ts";
import { formatNix32 } from "../nix/hash.ts";
import { NARINFO_MAX_LENGTH, type NarInfo, parseNarInfo } from "../nix/narinfo.ts";
import { parseHashPart, STORE_DIR } from "../nix/store-path.ts";
import { CacheFiles, type CacheFilesOptions, type RequestOptions } from "./cache-files.ts";

export type BinaryCacheOptions = CacheFilesOptions;

/** A NARInfo file of a cache: its text, and the text read. */
export interface FoundNarInfo {
  readonly text: string;
  readonly info: NarInfo;
}

export interface NarOptions extends RequestOptions {
  /**
   * Called when the file is put together from several answers, and no strong entity tag says that
   * they are of the same file: it may be damaged because they don't fit together.
   */
  readonly onContinued?: (() => void) | undefined;
}

/**
 * A Nix binary cache over HTTP, for reading. It checks what can be checked without trust: that a
 * NARInfo is of the path that was asked for, that the file's size and hash are as promised, and
 * that no URL leads out of the cache. Failures that may pass are retried: see `CacheFiles`.
 */
export class BinaryCache {
  /** Ends in a slash. */
  readonly url: string;
  readonly #files: CacheFiles;

  /**
   * @throws StoreError `invalid` if `url` is no address of HTTP or HTTPS, or has a query or a user;
   *   or for a timeout that is not a positive number
   */
  constructor(url: string, options: BinaryCacheOptions = {}) {
    const parsed = URL.canParse(url) ? new URL(url) : undefined;
    if (!parsed || !/^https?:$/.test(parsed.protocol) || parsed.search || parsed.hash || parsed.username || parsed.password)
      throw new StoreError("invalid", `not the address of a binary cache: ${quote(url)}`);
    this.url = parsed.href.endsWith("/") ? parsed.href : `${parsed.href}/`;
    this.#files = new CacheFiles(options);
  }

  /** @throws StoreError `not-found` if there is no cache, `invalid` if it is one for another store directory */
  async info(options: RequestOptions = {}): Promise<CacheInfo> {
    const text = await this.#text("nix-cache-info", CACHE_INFO_MAX_LENGTH, options);
    if (text === undefined) throw new StoreError("not-found", `there is no binary cache at ${this.url}`);
    const info = parseCacheInfo(text);
    if (info.storeDir !== STORE_DIR)
      throw new StoreError("invalid", `the binary cache ${this.url} is for ${quote(info.storeDir)}, not for ${STORE_DIR}`);
    return info;
  }

  /**
   * @param storePath absolute, a base name or a hash part
   * @returns `undefined` if the cache hasn't the path
   * @throws StoreError `invalid` if its NARInfo is out of shape, `corrupt` if it is of another path
   */
  async narInfo(storePath: string, options: RequestOptions = {}): Promise<FoundNarInfo | undefined> {
    const hashPart = parseHashPart(storePath);
    const text = await this.#text(`${hashPart}.narinfo`, NARINFO_MAX_LENGTH, options);
    if (text === undefined) return undefined;
    const info = parseNarInfo(text);
    if (parseHashPart(info.storePath) !== hashPart)
      throw new StoreError("corrupt", `asked for ${storePath}, ${this.url} gives the NARInfo of ${info.storePath}`);
    this.#resolve(info);
    return { text, info };
  }

  /**
   * The NAR of `info`, decompressed. The reader has to check the NAR's own size and hash. Size and
   * hash of the file as it is served are checked at its end, as far as `info` has them.
   *
   * @throws StoreError `not-found`; on the way `corrupt`, `unavailable`, `invalid` for damaged
   *   compression
   */
  async *nar(info: NarInfo, engine: HashEngine, options: NarOptions = {}): AsyncGenerator<Uint8Array> {
    const url = this.#resolve(info);
    // Without a name, or with an empty one, Nix takes it for bzip2.
    const compression = info.compression || "bzip2";
    const size = info.fileSize ?? (compression === "none" ? info.narSize : undefined);
    const file = this.#files.stream(url, { ...options, size });
    yield* decompressedAs(checkedFile(file, info, engine), compression, options.signal);
  }

  /**
   * The address of the NAR, whose URL is relative to the cache's.
   *
   * @throws StoreError `invalid` for a URL that leads out of the cache
   */
  #resolve({ storePath, url }: NarInfo): string {
    const isRelative = !/^[/\\]|^[a-z][a-z0-9+.-]*:/i.test(url);
    const resolved = isRelative && URL.canParse(url, this.url) ? new URL(url, this.url) : undefined;
    const href = resolved?.href ?? "";
    if (!resolved || !href.startsWith(this.url) || href === this.url || /\\/.test(url) || hasHiddenDots(resolved.pathname))
      throw new StoreError("invalid", `the NARInfo of ${storePath} has a URL that leads out of ${this.url}: ${quote(url)}`);
    return href;
  }

  /** Nix may have uploaded it in a `Content-Encoding` that not every platform decodes. */
  #text(name: string, maxLength: number, options: RequestOptions): Promise<string | undefined> {
    return this.#files.text(`${this.url}${name}`, maxLength, { ...options, decode: decompressed });
  }
}

/**
 * Whether a part of the path is `.` or `..` to a server that decodes escaped slashes and dots
 * before it looks at them.
 */
function hasHiddenDots(pathname: string): boolean {
  const decoded = pathname.replace(/%2f|%5c/gi, "/").replace(/%2e/gi, ".");
  return decoded.split("/").some((part) => part === "." || part === "..");
}

/**
 * Bytes beyond the NAR's that a file of unknown size may have: compression makes it a little larger
 * at worst, and a file without an end has to end somewhere.
 */
const OVERHEAD = 1024 * 1024;

/** Passes `bytes` on. Throws at their end if they are not the file that `info` promises. */
async function* checkedFile(bytes: AsyncIterable<Uint8Array>, info: NarInfo, engine: HashEngine): AsyncGenerator<Uint8Array> {
  const { fileHash, fileSize, narSize, storePath } = info;
  const limit = fileSize ?? Math.ceil(narSize * 1.25) + OVERHEAD;
  const hash = fileHash && (await engine.stream(fileHash.algorithm));
  let length = 0;
  let ended = false;
  try {
    for await (const piece of bytes) {
      length += piece.length;
      if (length > limit) throw new StoreError("corrupt", `the NAR file of ${storePath} has more than ${limit} bytes`);
      await hash?.update(piece);
      yield piece;
    }
    if (fileSize !== undefined && length !== fileSize)
      throw new StoreError("corrupt", `the NAR file of ${storePath} has ${length} bytes, not ${fileSize}`);
    ended = true;
    if (!hash) return;
    const digest = await hash.digest();
    if (equalBytes(digest, fileHash.digest)) return;
    const found = formatNix32({ algorithm: fileHash.algorithm, digest });
    throw new StoreError("corrupt", `the NAR file of ${storePath} has the hash ${found}, not ${formatNix32(fileHash)}`);
  } finally {
    if (!ended) hash?.abort();
  }
}
