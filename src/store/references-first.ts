import { dependenciesFirst } from "../depth-first.ts";
import { parseHashPart } from "../nix/store-path.ts";
import type { Referring } from "./closure.ts";

/**
 * Sorts `infos` dependencies first, in the order of `nix-store --export`: depth first, from each
 * path in the order of base names. It ignores references to paths that are not in `infos`. Paths in
 * a reference cycle come in an unspecified order.
 */
export function referencesFirst<T extends Referring>(infos: Iterable<T>): T[] {
  const sorted = [...infos].sort((a, b) => (a.storePath < b.storePath ? -1 : 1));
  const byHashPart = new Map(sorted.map((info) => [parseHashPart(info.storePath), info]));
  return dependenciesFirst(sorted, (info) =>
    [...info.references].sort().flatMap((reference) => byHashPart.get(parseHashPart(reference)) ?? []),
  );
}
