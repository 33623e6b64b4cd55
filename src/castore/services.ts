import type { BlobService } from "./blob-service.ts";
import type { DirectoryService } from "./directory-service.ts";

/** The two services that hold content. */
export interface CastoreServices {
  readonly blobs: BlobService;
  readonly directories: DirectoryService;
}
