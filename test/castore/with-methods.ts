import type { BlobService } from "../../src/castore/blob-service.ts";

/** Returns `blobs` with some methods replaced. */
export function withMethods(blobs: BlobService, methods: Partial<BlobService>): BlobService {
  return {
    stat: (digests, options) => blobs.stat(digests, options),
    open: (digest, options) => blobs.open(digest, options),
    create: (options) => blobs.create(options),
    putMany: (contents, options) => blobs.putMany(contents, options),
    readMany: (digests, options) => blobs.readMany(digests, options),
    ...methods,
  };
}
