import { parseHashPart } from "../nix/store-path.ts";
import type { Referring } from "./closure.ts";

/**
 * `infos`, each after those of them that it refers to, in the order in which `nix-store --export` has
 * them: depth first, begun from each in the order of their base names. References to others are
 * passed over. Paths that refer to one another in a circle come in some order.
 */
export function referencesFirst<T extends Referring>(infos: Iterable<T>): T[] {
  const sorted = [...infos].sort((a, b) => (a.storePath < b.storePath ? -1 : 1));
  const waiting = new Map(sorted.map((info) => [parseHashPart(info.storePath), info]));
  const order: T[] = [];
  // With a stack of its own: chains of references are as long as somebody likes.
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
