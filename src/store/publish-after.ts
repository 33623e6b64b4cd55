import type { PathInfo } from "./path-info.ts";
import type { LocalPathInfoService, PathInfoService } from "./path-info-service.ts";

/** Wraps a path info service so that `put` first waits for `before`. */
export function publishAfter(pathInfos: LocalPathInfoService, before: () => Promise<void>): LocalPathInfoService;
export function publishAfter(pathInfos: PathInfoService, before: () => Promise<void>): PathInfoService;
export function publishAfter(pathInfos: PathInfoService | LocalPathInfoService, before: () => Promise<void>): PathInfoService {
  return {
    get: (hashPart, options) => pathInfos.get(hashPart, options),
    list: (options) => pathInfos.list(options),
    async put(info, options): Promise<PathInfo> {
      await before();
      options?.signal?.throwIfAborted();
      return pathInfos.put(info, options);
    },
    ...("delete" in pathInfos && { delete: (hashPart: string) => pathInfos.delete(hashPart) }),
  };
}
