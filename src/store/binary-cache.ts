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

/** A NARInfo file of a cache, as text and parsed. */
export interface FoundNarInfo {
  readonly text: string;
  readonly info: NarInfo;
}

export interface NarOptions extends RequestOptions {
  /**
   * Called when the file is put together from several responses and no strong entity tag proves
   * that they belong to the same file. The result may be damaged because the parts don't fit
   * together.
   */
  readonly onContinued?: (() => void) | undefined;
}

/**
 * A Nix binary cache over HTTP, read-only. It checks everything that needs no trust: the NARInfo
 * belongs to the requested path, the file has the promised size and hash, and no URL leads out of
 * the cache. It retries temporary failures: see `CacheFiles`.
 */
export class BinaryCache {
  /** Address of the cache; ends in a slash. */
  readonly url: string;
  readonly #files: CacheFiles;

  /**
   * @throws StoreError `invalid` if `url` is not an HTTP or HTTPS address, if it has a query, a
   *   fragment, a user name or a password, or if a timeout is not a positive number
   */
  constructor(url: string, options: BinaryCacheOptions = {}) {
    const parsed = URL.canParse(url) ? new URL(url) : undefined;
    if (!parsed || !/^https?:$/.test(parsed.protocol) || parsed.search || parsed.hash || parsed.username || parsed.password)
      throw new StoreError(
        "invalid",
        `not the address of a binary cache: ${quote(url)}; use an http: or https: address without a query`,
      );
    this.url = parsed.href.endsWith("/") ? parsed.href : `${parsed.href}/`;
    this.#files = new CacheFiles(options);
  }

  /**
   * Reads `nix-cache-info`.
   *
   * @throws StoreError `not-found` if there is no cache; `invalid` if the cache is for another
   *   store directory
   */
  async info(options: RequestOptions = {}): Promise<CacheInfo> {
    const text = await this.#text("nix-cache-info", CACHE_INFO_MAX_LENGTH, options);
    if (text === undefined) throw new StoreError("not-found", `there is no binary cache at ${this.url}: it has no nix-cache-info`);
    const info = parseCacheInfo(text);
    if (info.storeDir !== STORE_DIR)
      throw new StoreError("invalid", `the binary cache ${this.url} is for ${quote(info.storeDir)}, not for ${STORE_DIR}`);
    return info;
  }

  /**
   * Reads the NARInfo file of a store path.
   *
   * @param storePath absolute path, base name or hash part
   * @returns `undefined` if the cache does not have the path
   * @throws StoreError `invalid` if the NARInfo is malformed; `corrupt` if it belongs to another
   *   path
   */
  async narInfo(storePath: string, options: RequestOptions = {}): Promise<FoundNarInfo | undefined> {
    const hashPart = parseHashPart(storePath);
    const text = await this.#text(`${hashPart}.narinfo`, NARINFO_MAX_LENGTH, options);
    if (text === undefined) return undefined;
    const info = parseNarInfo(text);
    if (parseHashPart(info.storePath) !== hashPart)
      throw new StoreError("corrupt", `asked for ${storePath}, but ${this.url} sent the NARInfo of ${info.storePath}`);
    this.#resolve(info);
    return { text, info };
  }

  /**
   * Streams the NAR of `info`, decompressed. It checks the size and hash of the compressed file at
   * the file's end, as far as `info` states them. The caller must check the size and hash of the
   * NAR itself.
   *
   * @throws StoreError `not-found` if the file is missing; while reading, `corrupt` if the file has
   *   another size or hash, `unavailable` if the cache can't be read, `invalid` if the compressed
   *   data is damaged
   */
  async *nar(info: NarInfo, engine: HashEngine, options: NarOptions = {}): AsyncGenerator<Uint8Array> {
    const url = this.#resolve(info);
    // Nix assumes bzip2 if the field is missing or empty.
    const compression = info.compression || "bzip2";
    const size = info.fileSize ?? (compression === "none" ? info.narSize : undefined);
    const file = this.#files.stream(url, { ...options, size });
    yield* decompressedAs(checkedFile(file, info, engine), compression, options.signal);
  }

  /**
   * Returns the absolute address of the NAR. The URL in the NARInfo is relative to the cache's
   * address.
   *
   * @throws StoreError `invalid` if the URL leads out of the cache
   */
  #resolve({ storePath, url }: NarInfo): string {
    const isRelative = !/^[/\\]|^[a-z][a-z0-9+.-]*:/i.test(url);
    const resolved = isRelative && URL.canParse(url, this.url) ? new URL(url, this.url) : undefined;
    const href = resolved?.href ?? "";
    if (!resolved || !href.startsWith(this.url) || href === this.url || /\\/.test(url) || hasHiddenDots(resolved.pathname))
      throw new StoreError("invalid", `the NARInfo of ${storePath} has a URL that leads out of ${this.url}: ${quote(url)}`);
    return href;
  }

  /**
   * Reads a text file of the cache. Nix may have uploaded the file with a `Content-Encoding` that
   * not every platform decodes.
   */
  #text(name: string, maxLength: number, options: RequestOptions): Promise<string | undefined> {
    return this.#files.text(`${this.url}${name}`, maxLength, { ...options, decode: decompressed });
  }
}

/**
 * Whether a segment of the path is `.` or `..` for a server that decodes escaped slashes and dots
 * before it resolves the path.
 */
function hasHiddenDots(pathname: string): boolean {
  const decoded = pathname.replace(/%2f|%5c/gi, "/").replace(/%2e/gi, ".");
  return decoded.split("/").some((part) => part === "." || part === "..");
}

/**
 * Bytes beyond the NAR's size that a file of unknown size may have. Compression makes a file only
 * slightly larger in the worst case. The limit stops a file that never ends.
 */
const OVERHEAD = 1024 * 1024;

/** Passes `bytes` on, and throws at the end if they are not the file that `info` promises. */
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
