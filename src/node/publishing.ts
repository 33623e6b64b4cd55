import type { Directory } from "../castore/directory.ts";
import type { DirectoryService } from "../castore/directory-service.ts";
import type { DirectoryStore } from "../castore/directory-store.ts";
import type { UploadRecords } from "./binary-cache/uploads.ts";

/**
 * Wrappers that flush content to disk before they write anything that refers to it. `publishAfter`
 * does the same for path infos.
 *
 * Content is written to disk in batches. A reference must not survive a crash that its content
 * doesn't survive. A client that finds a directory or a path assumes that everything beneath
 * exists, and would never send it again.
 */

/**
 * Wraps a directory store so that it flushes before it writes directories, which refer to blobs.
 */
export function storeAfter(directories: DirectoryStore, flush: () => Promise<void>): DirectoryStore {
  return {
    getMany: (digests) => directories.getMany(digests),
    async putMany(batch) {
      await flush();
      await directories.putMany(batch);
    },
  };
}

/** Wraps upload records so that they flush before they write, because records refer to content. */
export function recordAfter(records: UploadRecords, flush: () => Promise<void>): UploadRecords {
  return {
    get: (key) => records.get(key),
    async put(added) {
      await flush();
      await records.put(added);
    },
  };
}

/**
 * Wraps a directory service so that `put` flushes twice: before the first directory, and before the
 * service learns that the last directory was the root. Use it for a service whose own writes can't
 * be wrapped.
 */
export function putAfter(directories: DirectoryService, flush: () => Promise<void>): DirectoryService {
  return {
    get: (digest, options) => directories.get(digest, options),
    getClosure: (digest, options) => directories.getClosure(digest, options),
    put: (closure, options) => directories.put(flushedAround(closure, flush), options),
    sizeRules: (options) => directories.sizeRules(options),
  };
}

async function* flushedAround(
  closure: Iterable<Directory> | AsyncIterable<Directory>,
  flush: () => Promise<void>,
): AsyncGenerator<Directory> {
  await flush();
  yield* closure;
  await flush();
}
