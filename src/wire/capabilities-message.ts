import type { DirectorySizeRule } from "../castore/directory.ts";
import { StoreError } from "../error.ts";
import { DirectorySizeRule as RuleMessage } from "./gen/tvix_store_web/castore/v1/rpc_capabilities_pb.ts";

/** `Capabilities`: what this project's own daemon says about itself. */
export interface CapabilitiesMessage {
  directorySizeRules: RuleMessage[];
}

const RULES: readonly (readonly [RuleMessage, DirectorySizeRule])[] = [
  [RuleMessage.DOCUMENTED, "documented"],
  [RuleMessage.DOUBLED, "doubled"],
];

/**
 * Reads the size rules, in their order. A rule of a later version is left out.
 *
 * @throws StoreError `invalid` if no rule is left
 */
export function sizeRulesFromMessage({ directorySizeRules }: CapabilitiesMessage): DirectorySizeRule[] {
  const rules = directorySizeRules.flatMap((rule) => RULES.filter(([number]) => number === rule).map(([, known]) => known));
  if (rules.length === 0) throw new StoreError("invalid", "the server accepts no directory size rule that is known here");
  return [...new Set(rules)];
}

export function sizeRulesToMessage(rules: readonly DirectorySizeRule[]): CapabilitiesMessage {
  return { directorySizeRules: rules.flatMap((rule) => RULES.filter(([, known]) => known === rule).map(([number]) => number)) };
}
