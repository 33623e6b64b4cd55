import { concatBytes, decodeUtf8Strict, equalBytes, quote } from "../bytes.ts";
import { decompressedAs } from "../compression/decompress.ts";
import { StoreError } from "../error.ts";
import type { HashEngine } from "../hash/engine.ts";
import { CACHE_INFO_MAX_LENGTH, type CacheInfo, parseCacheInfo } from "../nix/cache-info.ts";
import { formatNix32 } from "../nix/hash.ts";
import { NARINFO_MAX_LENGTH, type NarInfo, parseNarInfo } from "../nix/narinfo.ts";
import { parseHashPart, STORE_DIR } from "../nix/store-path.ts";
import { iterate } from "../stream.ts";

export interface BinaryCacheOptions {
  /** In the place of the platform's. */
  fetch?: typeof globalThis.fetch | undefined;
  /** Sent with each request. */
  headers?: Readonly<Record<string, string>> | undefined;
}

/** A NARInfo file of a cache, as it is and as it is read. */
export interface FoundNarInfo {
  readonly text: string;
  readonly info: NarInfo;
}

type RequestOptions = { signal?: AbortSignal | undefined };

/** What Nix takes for "it is not here", too: object stores say 403 where nobody may list them. */
const MISSING = [403, 404, 410];

/**
 * A Nix binary cache over HTTP, for reading. What it says is checked only as far as it can be without trust: that a NARInfo is of the path it was asked
 * for, that the file's size and hash are as promised, and that nothing is asked for outside the cache.
 */
export class BinaryCache {
  /** Ends in a slash. */
  readonly url: string;
  readonly #fetch: typeof globalThis.fetch;
  readonly #headers: [string, string][];

  /** @throws StoreError `invalid` if `url` is no address of HTTP or HTTPS, or has a query or a user */
  constructor(url: string, { fetch, headers }: BinaryCacheOptions = {}) {
    const parsed = URL.canParse(url) ? new URL(url) : undefined;
    if (!parsed || !/^https?:$/.test(parsed.protocol) || parsed.search || parsed.hash || parsed.username || parsed.password)
      throw new StoreError("invalid", `not the address of a binary cache: ${quote(url)}`);
    this.url = parsed.href.endsWith("/") ? parsed.href : `${parsed.href}/`;
    // The platform's own must not be called as a method of ours.
    this.#fetch = fetch ?? ((...request) => globalThis.fetch(...request));
    this.#headers = [...new Headers(headers)];
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
   * The NAR of `info`, decompressed. Its own size and hash are for the reader to check; that of the file as it is served is checked when
   * it ends, as far as `info` tells.
   *
   * @throws StoreError `not-found`; on the way `corrupt`, `invalid` for damaged compression
   */
  async *nar(info: NarInfo, engine: HashEngine, { signal }: RequestOptions = {}): AsyncGenerator<Uint8Array> {
    const response = await this.#get(this.#resolve(info), signal);
    if (!response?.body) throw new StoreError("not-found", `${this.url} has the NARInfo of ${info.storePath}, but not its NAR`);
    yield* decompressedAs(checkedFile(iterate(response.body, signal), info, engine), info.compression ?? "bzip2", signal);
  }

  /** @throws StoreError `invalid` for a URL that leads out of the cache */
  #resolve({ storePath, url }: NarInfo): string {
    // Slashes and dots that are escaped mean the same to some servers, and are of no use to a cache.
    const isPlain = !/%(?:2e|2f|5c)/i.test(url) && !/(^|[/\\])\.\.?([/\\?#]|$)/.test(url);
    const isRelative = isPlain && !/^[/\\]|^[a-z][a-z0-9+.-]*:/i.test(url);
    const href = URL.canParse(url, this.url) ? new URL(url, this.url).href : "";
    if (!isRelative || !href.startsWith(this.url))
      throw new StoreError("invalid", `the NARInfo of ${storePath} has a URL that leads out of ${this.url}: ${quote(url)}`);
    return href;
  }

  async #text(name: string, maxLength: number, { signal }: RequestOptions): Promise<string | undefined> {
    const response = await this.#get(`${this.url}${name}`, signal);
    if (!response) return undefined;
    const parts: Uint8Array[] = [];
    let length = 0;
    if (response.body) {
      for await (const bytes of iterate(response.body, signal)) {
        length += bytes.length;
        if (length > maxLength) throw new StoreError("invalid", `${this.url}${name} is longer than ${maxLength} bytes`);
        parts.push(bytes);
      }
    }
    const text = decodeUtf8Strict(concatBytes(parts));
    if (text === undefined) throw new StoreError("invalid", `${this.url}${name} is not UTF-8`);
    return text;
  }

  async #get(url: string, signal: AbortSignal | undefined): Promise<Response | undefined> {
    let response: Response;
    try {
      response = await this.#fetch(url, { headers: this.#headers, ...(signal && { signal }) });
    } catch (cause) {
      signal?.throwIfAborted();
      throw new StoreError("unavailable", `${url} can't be reached`, { cause });
    }
    if (response.ok) return response;
    await response.body?.cancel().catch(() => {});
    if (MISSING.includes(response.status)) return undefined;
    throw new StoreError(response.status === 401 ? "denied" : "unavailable", `${url} answers ${response.status}`);
  }
}

/** The same bytes, which throw at their end if they are not those that `info` promises. */
async function* checkedFile(bytes: AsyncIterable<Uint8Array>, info: NarInfo, engine: HashEngine): AsyncGenerator<Uint8Array> {
  const { fileHash, fileSize, storePath } = info;
  const hash = fileHash && (await engine.stream(fileHash.algorithm));
  let length = 0;
  let ended = false;
  try {
    for await (const piece of bytes) {
      length += piece.length;
      if (fileSize !== undefined && length > fileSize)
        throw new StoreError("corrupt", `the NAR file of ${storePath} has more than ${fileSize} bytes`);
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
