import type { ByteRange } from "../byte-range.ts";
import type { Digest } from "../castore/digest.ts";
import type { Node } from "../castore/node.ts";
import type { ListEntry } from "../store/list-entry.ts";
import type { PathInfo } from "../store/path-info.ts";
import type { SignatureReport } from "../store/signature-report.ts";

/** Calls that read the store. */
export interface ReadApi {
  pathInfo(storePath: string): Promise<PathInfo | undefined>;
  /** Streams arrays of PathInfo. */
  pathInfos(to: MessagePort): void;
  /**
   * Lists the directory at `path` in the store path; `undefined` if nothing is there.
   *
   * @throws StoreError `invalid` if a file or a symlink is there
   */
  list(storePath: string, path: string | Uint8Array): Promise<ListEntry[] | undefined>;
  node(storePath: string, path: string | Uint8Array): Promise<Node | undefined>;
  readBlob(digest: Digest, range: ByteRange, to: MessagePort): void;
  /** Reads a range that is too small to be worth a stream. */
  readBytes(digest: Digest, range: ByteRange): Promise<Uint8Array>;
  nar(storePath: string, part: NarPart, to: MessagePort): void;
  /** @param storePaths all paths of the store by default */
  nario(storePaths: string[] | undefined, options: NarioOptions, operation: MessagePort, to: MessagePort): void;
  /** Renders the listing as JSON. */
  narListing(storePath: string, path: string | Uint8Array): Promise<string>;
  narInfo(storePath: string): Promise<string | undefined>;
  verifySignatures(storePath: string, trustedPublicKeys: string[]): Promise<SignatureReport>;
  /** @param candidates by default all paths of the store, the path itself and its references */
  scanReferences(storePath: string, candidates: string[] | undefined, operation: MessagePort): Promise<string[]>;
}

/** Selects a node of a store path to render as a NAR, and a range of that NAR. */
export interface NarPart {
  /** A file, symlink or directory inside the store path; the store path itself by default. */
  path?: string | Uint8Array | undefined;
  /** Byte offset in the NAR at which to start; 0 by default. */
  offset?: number | undefined;
  /** Maximum number of bytes; up to the end of the NAR by default. May reach beyond the end. */
  length?: number | undefined;
}

/** Options of a nario: the parts that it includes. */
export interface NarioOptions {
  /** Whether to include the closures of the store paths; true by default. */
  closure?: boolean | undefined;
  /**
   * Whether to include signatures and content addresses, in a place that Nix skips; true by
   * default. Without them the bytes equal the output of `nix-store --export`.
   */
  notes?: boolean | undefined;
}
