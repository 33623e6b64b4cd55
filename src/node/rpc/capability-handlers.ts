import type { DirectoryService } from "../../castore/directory-service.ts";
import { sizeRulesToMessage } from "../../wire/capabilities-message.ts";
import { answer } from "./answer.ts";

/** `CapabilityService`: this daemon's own. In front of another daemon it tells that one's rules. */
export function capabilityHandlers(directories: DirectoryService) {
  return {
    get: answer(async (_request: unknown, { signal }) => sizeRulesToMessage(await directories.sizeRules({ signal }))),
  };
}
