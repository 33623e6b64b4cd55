import type { DirectorySizeRule } from "../../castore/directory.ts";
import type { DirectoryService } from "../../castore/directory-service.ts";
import { isStoreError } from "../../error.ts";
import { capabilitiesToMessage } from "../../wire/capabilities-message.ts";
import { answer } from "./answer.ts";

/**
 * `CapabilityService`: this daemon's own. In front of another daemon it tells that one's size rules.
 * A read-only daemon has none to tell.
 */
export function capabilityHandlers(directories: DirectoryService) {
  return {
    get: answer(async (_request: unknown, { signal }) => {
      const sizeRules = await writableRules(directories, signal);
      // Every `PathInfoService` that accepts writes merges.
      return capabilitiesToMessage({ sizeRules, mergesPathInfos: sizeRules.length > 0 });
    }),
  };
}

async function writableRules(directories: DirectoryService, signal: AbortSignal): Promise<readonly DirectorySizeRule[]> {
  try {
    return await directories.sizeRules({ signal });
  } catch (error) {
    if (isStoreError(error, "denied")) return [];
    throw error;
  }
}
