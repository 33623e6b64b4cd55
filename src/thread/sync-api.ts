import type { SubstituteReport } from "../store/substitute.ts";
import type { SyncReport } from "../store/sync.ts";
import type { Timeouts } from "../timeouts.ts";

/** Calls that copy store paths from or to another machine. */
export interface SyncApi {
  /** Streams arrays of PathInfo. */
  remotePathInfos(remote: RemoteUse, to: MessagePort): void;
  pull(remote: RemoteUse, storePaths: string[], options: SyncOptions, operation: MessagePort): Promise<SyncReport>;
  push(remote: RemoteUse, storePaths: string[], options: SyncOptions, operation: MessagePort): Promise<SyncReport>;
  importBinaryCache(
    url: string,
    storePaths: string[],
    options: BinaryCacheImport,
    operation: MessagePort,
  ): Promise<SubstituteReport>;
  /** Tells the worker that the page no longer has the `Remote` of this id. */
  forgetRemote(id: number): void;
}

/** The remote that one call uses. */
export interface RemoteUse {
  /** Identifies the page's `Remote` object. The worker keeps one connection for each id. */
  readonly id: number;
  readonly address: RemoteAddress;
  /**
   * Port to the page's own `fetch`, if the page has one (`port-fetch.ts`). The first of several
   * concurrent calls carries it for all of them.
   */
  readonly fetch?: MessagePort | undefined;
}

export interface RemoteAddress {
  readonly url: string;
  readonly protocol: "connect" | "grpc-web";
  readonly dialect: "auto" | "tvix" | "snix";
  readonly headers: readonly (readonly [string, string])[];
}

export interface SyncOptions {
  /** Whether to copy the closures of the store paths, too; true by default. */
  closure?: boolean | undefined;
}

/** Options for an import from a Nix binary cache. */
export interface BinaryCacheImport extends SyncOptions {
  /**
   * Public keys as `name:base64`, like Nix's setting of this name. A store path is accepted if one
   * of these keys signed it or if it is content-addressed. Without keys, only content-addressed
   * paths are accepted.
   */
  trustedPublicKeys?: readonly string[] | undefined;
  /**
   * `true` by default. `false` accepts every path info of the cache, even without a signature. NARs
   * are then checked only against their NARInfo files.
   */
  requireSignatures?: boolean | undefined;
  /** HTTP headers for each request. */
  headers?: Readonly<Record<string, string>> | undefined;
  /** Limits after which a request counts as failed and is retried. */
  timeouts?: Timeouts | undefined;
}
