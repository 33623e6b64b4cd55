import type { DirectorySizeRule } from "../castore/directory.ts";
import { StoreError } from "../error.ts";
import { DirectorySizeRule as RuleMessage } from "./gen/tvix_store_web/castore/v1/rpc_capabilities_pb.ts";

/** Abilities that a server of this project states about itself. */
export interface Capabilities {
  /**
   * Size rules that its `DirectoryService.Put` accepts, the preferred one first. Empty if the
   * server accepts no writes.
   */
  readonly sizeRules: readonly DirectorySizeRule[];
  /** Whether its `PathInfoService.Put` merges path infos itself, in one atomic step. */
  readonly mergesPathInfos: boolean;
}

/** Form of `tvix_store_web.castore.v1.Capabilities`. */
export interface CapabilitiesMessage {
  directorySizeRules: RuleMessage[];
  mergesPathInfos: boolean;
}

const RULES: readonly (readonly [RuleMessage, DirectorySizeRule])[] = [
  [RuleMessage.DOCUMENTED, "documented"],
  [RuleMessage.DOUBLED, "doubled"],
];

/**
 * Reads the message. Ignores size rules that this version doesn't know.
 *
 * @throws StoreError `invalid` if the server states size rules, but none that this version knows
 */
export function capabilitiesFromMessage({ directorySizeRules, mergesPathInfos }: CapabilitiesMessage): Capabilities {
  const known = directorySizeRules.flatMap((rule) => RULES.filter(([number]) => number === rule).map(([, known]) => known));
  if (known.length === 0 && directorySizeRules.length > 0)
    throw new StoreError("invalid", "the server accepts none of the directory size rules that this version knows");
  return { sizeRules: [...new Set(known)], mergesPathInfos };
}

export function capabilitiesToMessage({ sizeRules, mergesPathInfos }: Capabilities): CapabilitiesMessage {
  const directorySizeRules = sizeRules.flatMap((rule) => RULES.filter(([, known]) => known === rule).map(([number]) => number));
  return { directorySizeRules, mergesPathInfos };
}
