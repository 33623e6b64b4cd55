import { parseHashPart } from "../nix/store-path.ts";
import type { Referring } from "./closure.ts";

/**
 * Sorts `infos` dependencies first, in the order of `nix-store --export`: depth first, from each
 * path in the order of base names. It ignores references to paths that are not in `infos`. Paths in
 * a reference cycle come in an unspecified order.
 */
export function referencesFirst<T extends Referring>(infos: Iterable<T>): T[] {
  const sorted = [...infos].sort((a, b) => (a.storePath < b.storePath ? -1 : 1));
  const waiting = new Map(sorted.map((info) => [parseHashPart(info.storePath), info]));
  const order: T[] = [];
  // An explicit stack: chains of references can have any length.
  const stack: { readonly info: T; readonly references: Iterator<string> }[] = [];
  const enter = (hashPart: string): void => {
    const info = waiting.get(hashPart);
    if (!info) return;
    waiting.delete(hashPart);
    stack.push({ info, references: [...info.references].sort().values() });
  };
  for (const info of sorted) {
    enter(parseHashPart(info.storePath));
    for (let top = stack.at(-1); top; top = stack.at(-1)) {
      const { value, done } = top.references.next();
      if (!done) {
        enter(parseHashPart(value));
      } else {
        stack.pop();
        order.push(top.info);
      }
    }
  }
  return order;
}
