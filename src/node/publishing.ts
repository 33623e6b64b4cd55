import type { Directory } from "../castore/directory.ts";
import type { DirectoryService } from "../castore/directory-service.ts";
import type { DirectoryStore } from "../castore/directory-store.ts";
import type { PathInfo } from "../store/path-info.ts";
import type { LocalPathInfoService, PathInfoService } from "../store/path-info-service.ts";
import type { UploadRecords } from "./binary-cache/uploads.ts";

/**
 * Content is brought to the disk in batches. What refers to it must not survive a crash that it did not: whoever finds a directory or
 * a path takes what is beneath for present as well, and would never send it again. So these first wait for a `flush`.
 */

/** The same store, which writes directories only after what their files refer to. */
export function storeAfter(directories: DirectoryStore, flush: () => Promise<void>): DirectoryStore {
  return {
    getMany: (digests) => directories.getMany(digests),
    async putMany(batch) {
      await flush();
      await directories.putMany(batch);
    },
  };
}

/** The same records, of which those of uploads name content. */
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
 * Likewise for a service whose writes are not seen: what was there before the call is flushed before the first directory, and all the
 * rest before the root is known to be the root.
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

/** The same service, but `put` waits. */
export function publishAfter(pathInfos: LocalPathInfoService, flush: () => Promise<void>): LocalPathInfoService;
export function publishAfter(pathInfos: PathInfoService, flush: () => Promise<void>): PathInfoService;
export function publishAfter(pathInfos: PathInfoService | LocalPathInfoService, flush: () => Promise<void>): PathInfoService {
  return {
    get: (hashPart, options) => pathInfos.get(hashPart, options),
    list: (options) => pathInfos.list(options),
    async put(info, options): Promise<PathInfo> {
      await flush();
      options?.signal?.throwIfAborted();
      return pathInfos.put(info, options);
    },
    ...("delete" in pathInfos && { delete: (hashPart: string) => pathInfos.delete(hashPart) }),
  };
}
