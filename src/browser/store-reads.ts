import { decodeUtf8, quote, quoteBytes, toBase64 } from "../bytes.ts";
import type { Digest } from "../castore/digest.ts";
import type { FileNode, Node } from "../castore/node.ts";
import { StoreError } from "../error.ts";
import type { NarListingJson } from "../nix/nar-listing.ts";
import type { OperationOptions } from "../progress.ts";
import type { ListEntry } from "../store/list-entry.ts";
import type { PathInfo } from "../store/path-info.ts";
import type { SignatureReport } from "../store/signature-report.ts";
import { iterate } from "../stream.ts";
import type { NarioOptions, NarPart } from "../thread/read-api.ts";
import type { StoreCalls } from "./store-calls.ts";
import { type FileSource, StoreFile } from "./store-file.ts";

/** The methods of a `Store` that read it. */
export class StoreReads extends EventTarget {
  /** @internal */
  protected readonly calls: StoreCalls;

  /** @internal */
  constructor(calls: StoreCalls) {
    super();
    this.calls = calls;
  }

  /** Yields the PathInfos of all store paths, ordered by hash part. */
  async *pathInfos(options: { signal?: AbortSignal } = {}): AsyncGenerator<PathInfo> {
    for await (const batch of iterate(
      this.calls.receive<PathInfo[]>((port) => this.calls.api.reads.pathInfos(port)),
      options.signal,
    ))
      yield* batch;
  }

  /** Returns the PathInfo of a store path; `undefined` if the store does not have the path. */
  async pathInfo(storePath: string): Promise<PathInfo | undefined> {
    return this.calls.call(this.calls.api.reads.pathInfo(storePath));
  }

  /**
   * Yields the entries of a directory, ordered by the bytes of their names.
   *
   * @throws StoreError `not-found` if nothing is at `path`; `invalid` if no directory is there
   */
  async *list(storePath: string, path: string | Uint8Array = ""): AsyncGenerator<ListEntry> {
    const entries = await this.calls.call(this.calls.api.reads.list(storePath, path));
    if (!entries) {
      const shown = typeof path === "string" ? quote(path) : quoteBytes(path);
      throw new StoreError("not-found", `${storePath} has no directory at ${shown}`);
    }
    yield* entries;
  }

  /**
   * Returns the file at `path`, or `undefined` if there is none. It does not follow symlinks. The
   * file's content is read on demand.
   */
  async file(storePath: string, path: string | Uint8Array = ""): Promise<StoreFile | undefined> {
    const node = await this.calls.call<Node | undefined>(this.calls.api.reads.node(storePath, path));
    if (node?.kind !== "file") return undefined;
    const { digest } = node;
    const name = `${storePath}/${typeof path === "string" ? path : decodeUtf8(path)}`;
    return new StoreFile(name, Number(node.size), this.#source(digest));
  }

  /**
   * Returns the content of a blob, by a node from `importBlob` or `pins`. The content is read on
   * demand. If the blob is missing, reading the content fails with `not-found`.
   */
  blob({ digest, size }: Pick<FileNode, "digest" | "size">): StoreFile {
    return new StoreFile(`b3:${toBase64(digest)}`, Number(size), this.#source(digest));
  }

  /**
   * Streams a store path, or the node at `path` inside it, as a NAR, which is rendered while it is
   * read. `offset` and `length`, in bytes, select a part of the NAR. If `offset` + `length` is
   * beyond the end of the NAR, the part ends there. The content before this part is not read. The
   * stream errors with `not-found` if nothing is at `path`, with `invalid` if the range is
   * malformed, and with `signal.reason` after an abort.
   */
  nar(storePath: string, { signal, ...part }: NarPart & { signal?: AbortSignal | undefined } = {}): ReadableStream<Uint8Array> {
    return this.calls.receive((port) => this.calls.api.reads.nar(storePath, part, port), signal);
  }

  /**
   * Streams store paths as one nario, by default with their closures. `importNario` and
   * `nix-store --import` read it. Without `storePaths`, it contains the whole store. Progress:
   * `reading`, in bytes of the NARs. The stream errors with `not-found` if the store lacks one of
   * the paths, and with `signal.reason` after an abort.
   */
  nario(
    storePaths?: Iterable<string>,
    { signal, onProgress, ...options }: NarioOptions & OperationOptions = {},
  ): ReadableStream<Uint8Array> {
    const wanted = storePaths && [...storePaths];
    return this.calls.stream({ signal, onProgress }, (port, to) => this.calls.api.reads.nario(wanted, options, port, to));
  }

  /**
   * Lists the NAR of a store path, or of the node at `path` inside it, with the offset of each
   * file. The format is that of `<hash>.ls` in a binary cache. It reads only directories, no files.
   *
   * @throws StoreError `not-found` if the path is missing; `invalid` if a name or a symlink's
   *   target is not UTF-8, which JSON can't express
   */
  async narListing(storePath: string, path: string | Uint8Array = ""): Promise<NarListingJson> {
    return JSON.parse(await this.calls.call(this.calls.api.reads.narListing(storePath, path)));
  }

  /**
   * Returns the NARInfo text that a binary cache would serve; `undefined` if the store does not
   * have the path.
   */
  async narInfo(storePath: string): Promise<string | undefined> {
    return this.calls.call(this.calls.api.reads.narInfo(storePath));
  }

  /**
   * Checks the signatures of a store path against `trustedPublicKeys` (`name:base64`). It reads
   * only the PathInfo. The import has already checked that the content has the signed hash.
   *
   * @throws StoreError `not-found` if the path is missing; `invalid` if a key is malformed or two
   *   keys have the same name
   */
  async verifySignatures(
    storePath: string,
    { trustedPublicKeys = [] }: { trustedPublicKeys?: Iterable<string> | undefined } = {},
  ): Promise<SignatureReport> {
    return this.calls.call(this.calls.api.reads.verifySignatures(storePath, [...trustedPublicKeys]));
  }

  /**
   * Finds the store paths that the content of a store path refers to. A path counts if its hash
   * part occurs in the NAR, as in Nix's own scan. By default, the candidates are all paths of the
   * store, the path itself and its declared references.
   *
   * @returns base names, sorted
   * @throws StoreError `not-found` if the path is missing; `invalid` if a candidate is not a store
   *   path
   */
  async scanReferences(
    storePath: string,
    { candidates, ...options }: { candidates?: Iterable<string> | undefined } & OperationOptions = {},
  ): Promise<string[]> {
    return this.calls.operation(options, (port) =>
      this.calls.api.reads.scanReferences(storePath, candidates && [...candidates], port),
    );
  }

  #source(digest: Digest): FileSource {
    return {
      open: (offset, length) => this.calls.receive((port) => this.calls.api.reads.readBlob(digest, { offset, length }, port)),
      read: (offset, length) => this.calls.call(this.calls.api.reads.readBytes(digest, { offset, length })),
    };
  }
}
