import type { DirectoryService } from "../../castore/directory-service.ts";
import { capabilitiesToMessage } from "../../wire/capabilities-message.ts";
import { answer } from "./answer.ts";

/** `CapabilityService`: this daemon's own. In front of another daemon it tells that one's size rules. */
export function capabilityHandlers(directories: DirectoryService) {
  return {
    get: answer(async (_request: unknown, { signal }) =>
      // Every `PathInfoService` merges.
      capabilitiesToMessage({ sizeRules: await directories.sizeRules({ signal }), mergesPathInfos: true }),
    ),
  };
}
