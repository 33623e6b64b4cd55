import type { BlobService } from "./blob-service.ts";
import type { DirectoryService } from "./directory-service.ts";

/** Where content lives. */
export interface CastoreServices {
  readonly blobs: BlobService;
  readonly directories: DirectoryService;
}
