import { afterEach, expect, test } from "vitest";
import { keepKeys, keptKeys } from "../../src/elements/kept-keys.ts";
import { mount } from "./mount.browser.ts";
import { button, click, find, textOf, type } from "./page.browser.ts";

const A = `a-1:${"A".repeat(43)}=`;
const B = `b-1:${"B".repeat(42)}A=`;

afterEach(() => localStorage.clear());

const field = (root: ShadowRoot): HTMLInputElement => find<HTMLInputElement>(root, "#key");
const names = (root: ShadowRoot): string[] => [...root.querySelectorAll("li")].map((item) => textOf(item.querySelector("code")));

test("without keys, says so; the button waits for a key", async () => {
  const { element, root } = await mount("tvix-trusted-keys");
  expect(textOf(root.querySelector(".hint"))).toBe("None yet.");
  expect(root.querySelector("ul")).toBeNull();
  expect(button(root, "Add")?.disabled).toBe(true);
  type(field(root), "   ");
  await element.updateComplete;
  expect(button(root, "Add")?.disabled).toBe(true);
  expect(textOf(find(root, "label"))).toBe("Add a public key");
});

test("adds the typed keys, and empties the field", async () => {
  const { element, root } = await mount("tvix-trusted-keys");
  type(field(root), `${A} ${B}`);
  await element.updateComplete;
  click(root, "Add");
  await element.updateComplete;
  expect(keptKeys()).toEqual([A, B]);
  expect([names(root), field(root).value]).toEqual([["a-1", "b-1"], ""]);
  expect(find(root, "ul").getAttribute("aria-label")).toBe("Trusted public keys");
  expect(textOf(root.querySelectorAll("li")[0])).toContain("A".repeat(43));
});

test("tells why a key is refused, keeps the text, and forgets the reason when the reader goes on typing", async () => {
  const { element, root } = await mount("tvix-trusted-keys");
  type(field(root), "not a key");
  await element.updateComplete;
  click(root, "Add");
  await element.updateComplete;
  const fault = find(root, `#${field(root).getAttribute("aria-describedby")}`);
  expect(textOf(fault)).not.toBe("");
  expect([field(root).getAttribute("aria-invalid"), field(root).value, root.activeElement]).toEqual([
    "true",
    "not a key",
    field(root),
  ]);
  expect(keptKeys()).toEqual([]);
  type(field(root), A);
  await element.updateComplete;
  expect([textOf(fault), field(root).getAttribute("aria-invalid")]).toEqual(["", "false"]);
});

test("`takeTyped` stores what was not added yet, or says that it can't", async () => {
  const { element, root } = await mount("tvix-trusted-keys");
  expect(element.takeTyped()).toBe(true);
  type(field(root), A);
  expect(element.takeTyped()).toBe(true);
  expect(keptKeys()).toEqual([A]);
  type(field(root), "a-1:x");
  expect(element.takeTyped()).toBe(false);
  await element.updateComplete;
  expect(textOf(find(root, "#key-fault"))).not.toBe("");
});

test("removes a key by a button that names it, and moves the focus to the field", async () => {
  keepKeys(`${A} ${B}`);
  const { element, root } = await mount("tvix-trusted-keys");
  click(root, "Remove a-1");
  await element.updateComplete;
  expect([keptKeys(), names(root), root.activeElement]).toEqual([[B], ["b-1"], field(root)]);
});

test("all elements on the page follow a change, until they leave it", async () => {
  const first = await mount("tvix-trusted-keys");
  const second = await mount("tvix-trusted-keys");
  keepKeys(A);
  await Promise.all([first.element.updateComplete, second.element.updateComplete]);
  expect([names(first.root), names(second.root)]).toEqual([["a-1"], ["a-1"]]);
  first.element.remove();
  keepKeys(B);
  await Promise.all([first.element.updateComplete, second.element.updateComplete]);
  expect([names(first.root), names(second.root)]).toEqual([["a-1"], ["a-1", "b-1"]]);
});
