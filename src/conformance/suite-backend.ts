import type { BlobService } from "../castore/blob-service.ts";
import type { DirectoryService } from "../castore/directory-service.ts";
import type { PathInfoService } from "../store/path-info-service.ts";
import type { StoreServices } from "../store/services.ts";

/** Services that a suite writes to. */
export interface WritableServices {
  readonly blobs: Pick<BlobService, "create" | "putMany">;
  readonly directories: Pick<DirectoryService, "put" | "sizeRules">;
  readonly pathInfos: Pick<PathInfoService, "put">;
}

/** An open backend, empty at first. */
export interface OpenedBackend {
  /**
   * The services to test. A backend without blobs or directories has those of `createMemoryStore`
   * in their place: path infos refer to content.
   */
  readonly store: StoreServices;
  /** Where the suites put the content that they read from `store`, if the backend is read-only. */
  readonly fill?: WritableServices | undefined;
  close(): Promise<void>;
}

/** A backend, for the suites. */
export interface SuiteBackend {
  /** Name of the backend, for the names of the tests. */
  readonly name: string;
  /**
   * Whether its services refuse writes with `denied`; `false` by default. Then `open` has to return
   * `fill`.
   */
  readonly readOnly?: boolean | undefined;
  /** Whether its PathInfoService has `delete`; `false` by default. */
  readonly canDelete?: boolean | undefined;
  /**
   * Whether its PathInfoService can list its paths; `true` by default. If not, `list` must be
   * refused with `denied`.
   */
  readonly canList?: boolean | undefined;
  /**
   * Name of a key with which the PathInfoService signs each PathInfo. The suite then ignores the
   * signatures of this key.
   */
  readonly signedBy?: string | undefined;
  /** Opens an empty backend. Each suite opens one of its own. */
  open(): Promise<OpenedBackend>;
}
