import type { PathInfo } from "../store/path-info.ts";
import type { LocalPathInfoService, PathInfoService } from "../store/path-info-service.ts";

/**
 * The same service, but `put` first waits for `flush`: content is brought to the disk in batches, and a name for it must not survive a
 * crash that it did not.
 */
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
