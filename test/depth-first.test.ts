import { expect, test } from "vitest";
import { dependenciesFirst } from "../src/depth-first.ts";

interface Item {
  readonly name: string;
  readonly needs: readonly string[];
}

function graph(needs: Readonly<Record<string, string>>): { start: Item[]; dependenciesOf: (item: Item) => Item[] } {
  const items = new Map(Object.entries(needs).map(([name, text]) => [name, { name, needs: [...text] }]));
  return { start: [...items.values()], dependenciesOf: (item) => item.needs.flatMap((name) => items.get(name) ?? []) };
}

const names = (items: readonly Item[]): string => items.map(({ name }) => name).join("");

test("dependencies come first, each once, depth first in the given order", () => {
  const { start, dependenciesOf } = graph({ a: "cb", b: "d", c: "d", d: "", e: "" });
  expect(names(dependenciesFirst(start, dependenciesOf))).toBe("dcbae");
});

test("the items of a cycle come in some order, or the caller is told", () => {
  const { start, dependenciesOf } = graph({ a: "b", b: "c", c: "a", d: "d" });
  expect([...names(dependenciesFirst(start, dependenciesOf))].sort().join("")).toBe("abcd");
  const told: string[] = [];
  const onCycle = ({ name }: Item): never => {
    told.push(name);
    throw new Error("a cycle");
  };
  expect(() => dependenciesFirst(start, dependenciesOf, onCycle)).toThrow("a cycle");
  expect(told).toEqual(["a"]);
});

test("a chain of any length takes no call stack", () => {
  const items = Array.from({ length: 200_000 }, (_, i) => ({ i }));
  const order = dependenciesFirst(items, ({ i }) => items.slice(i + 1, i + 2));
  expect(order[0]).toEqual({ i: items.length - 1 });
  expect(order.length).toBe(items.length);
});
