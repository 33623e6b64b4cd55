import { expect, test } from "vitest";
import * as elements from "../../src/elements/index.ts";

test("importing the entry point defines every element that it exports, each once", () => {
  const names: string[] = [];
  for (const element of Object.values(elements)) {
    const instance = new element();
    names.push(instance.localName);
    expect(customElements.get(instance.localName)).toBe(element);
  }
  expect(new Set(names).size).toBe(names.length);
  expect(names.every((name) => name.startsWith("tvix-"))).toBe(true);
});

test("a second copy of the module, from another bundle, leaves the elements of the first", async () => {
  const first = customElements.get("tvix-import");
  // The query makes the module another one.
  const copy = "../../src/elements/index.ts?second";
  await import(/* @vite-ignore */ copy);
  expect(customElements.get("tvix-import")).toBe(first);
});
