import type { DirectorySizeRule } from "../../castore/directory.ts";
import type { DirectoryService } from "../../castore/directory-service.ts";
import { isStoreError } from "../../error.ts";
import { capabilitiesToMessage } from "../../wire/capabilities-message.ts";
import { CALLER } from "../permissions.ts";
import { answer } from "./answer.ts";

/**
 * Handlers of `CapabilityService`, which is specific to this daemon. A daemon in front of another
 * daemon reports the size rules of that daemon. If the caller may not write, the answer
 * has no size rules.
 */
export function capabilityHandlers(directories: DirectoryService) {
  return {
    get: answer(async (_request: unknown, { signal, values }) => {
      const sizeRules = values.get(CALLER).may("write") ? await writableRules(directories, signal) : [];
      // Every `PathInfoService` that accepts writes merges path infos.
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
