import type { DirectorySizeRule } from "../castore/directory.ts";
import { StoreError } from "../error.ts";
import { DirectorySizeRule as RuleMessage } from "./gen/tvix_store_web/castore/v1/rpc_capabilities_pb.ts";

/** What a server of this project says about itself. */
export interface Capabilities {
  /** The size rules that its `DirectoryService.Put` accepts, the preferred one first. None if it accepts no writes. */
  readonly sizeRules: readonly DirectorySizeRule[];
  /** Whether its `PathInfoService.Put` merges by itself, in one atomic step. */
  readonly mergesPathInfos: boolean;
}

/** `tvix_store_web.castore.v1.Capabilities`. */
export interface CapabilitiesMessage {
  directorySizeRules: RuleMessage[];
  mergesPathInfos: boolean;
}

const RULES: readonly (readonly [RuleMessage, DirectorySizeRule])[] = [
  [RuleMessage.DOCUMENTED, "documented"],
  [RuleMessage.DOUBLED, "doubled"],
];

/**
 * Reads the message. A size rule of a later version is left out.
 *
 * @throws StoreError `invalid` if the server has size rules, but none that is known here
 */
export function capabilitiesFromMessage({ directorySizeRules, mergesPathInfos }: CapabilitiesMessage): Capabilities {
  const known = directorySizeRules.flatMap((rule) => RULES.filter(([number]) => number === rule).map(([, known]) => known));
  if (known.length === 0 && directorySizeRules.length > 0)
    throw new StoreError("invalid", "the server accepts no directory size rule that is known here");
  return { sizeRules: [...new Set(known)], mergesPathInfos };
}

export function capabilitiesToMessage({ sizeRules, mergesPathInfos }: Capabilities): CapabilitiesMessage {
  const directorySizeRules = sizeRules.flatMap((rule) => RULES.filter(([, known]) => known === rule).map(([number]) => number));
  return { directorySizeRules, mergesPathInfos };
}
