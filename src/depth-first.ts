/**
 * Orders a graph so that each item comes after the items that it depends on. The walk is depth
 * first, from each item of `start` in turn. It uses its own stack, because outside data decides how
 * long chains of dependencies are.
 *
 * @param dependenciesOf called once for each item; an item is identified as an object
 * @param onCycle called with an item that depends on itself through others, or directly. Without
 *   it, the items of a cycle come in an unspecified order
 */
export function dependenciesFirst<T extends object>(
  start: Iterable<T>,
  dependenciesOf: (item: T) => Iterable<T>,
  onCycle?: (item: T) => never,
): T[] {
  const order: T[] = [];
  const state = new Map<T, "open" | "done">();
  const stack: { readonly item: T; readonly dependencies: Iterator<T> }[] = [];
  const enter = (item: T): void => {
    const known = state.get(item);
    if (known === "open") onCycle?.(item);
    if (known !== undefined) return;
    state.set(item, "open");
    stack.push({ item, dependencies: dependenciesOf(item)[Symbol.iterator]() });
  };
  for (const first of start) {
    enter(first);
    for (let top = stack.at(-1); top; top = stack.at(-1)) {
      const { value, done } = top.dependencies.next();
      if (!done) {
        enter(value);
        continue;
      }
      stack.pop();
      state.set(top.item, "done");
      order.push(top.item);
    }
  }
  return order;
}
