import { expect, test } from "vitest";
import { hashOf, nameOf, type TvixStorePaths } from "../../src/elements/store-paths.ts";
import { pathInfo, storePathOf } from "./fake-store.browser.ts";
import { type Mounted, mount } from "./mount.browser.ts";
import { find, press, record, textOf, type } from "./page.browser.ts";

const NAMES = ["zlib-1.3", "hello-2.12", "bash-5.2", "hello-doc"];
const PATHS = NAMES.map((name) => pathInfo(name));

interface Shown extends Mounted<TvixStorePaths> {
  readonly list: HTMLElement;
  readonly filter: HTMLInputElement;
}

async function show(properties: Partial<TvixStorePaths> = {}): Promise<Shown> {
  const mounted = await mount("tvix-store-paths", { paths: PATHS, ...properties });
  const { root } = mounted;
  return { ...mounted, list: find(root, '[role="listbox"]'), filter: find<HTMLInputElement>(root, 'input[type="search"]') };
}

const options = (root: ParentNode): HTMLElement[] => [...root.querySelectorAll<HTMLElement>('[role="option"]')];
const names = (root: ParentNode): string[] => options(root).map((option) => textOf(option.querySelector(".name")));
const active = (root: ParentNode): string => textOf(root.querySelector("[data-active] .name"));
const selected = (root: ParentNode): string[] =>
  options(root)
    .filter((option) => option.getAttribute("aria-selected") === "true")
    .map((option) => textOf(option.querySelector(".name")));
const status = (root: ParentNode): string => textOf(root.querySelector('[role="status"]'));

test("lists the paths by name, with the start of the hash and the size", async () => {
  const { root, list } = await show();
  expect(names(root)).toEqual([...NAMES].sort());
  const [first] = options(root);
  expect(textOf(first)).toBe(`${hashOf(storePathOf("bash-5.2")).slice(0, 7)} bash-5.2 2.0 KiB`);
  expect(["title", "aria-setsize", "aria-posinset"].map((name) => first?.getAttribute(name))).toEqual([
    storePathOf("bash-5.2"),
    "4",
    "1",
  ]);
  expect([list.getAttribute("aria-label"), list.hasAttribute("aria-multiselectable")]).toEqual(["Store paths", false]);
  expect(status(root)).toBe("4 paths");
});

test("paths of the same name are in the order of their hashes", async () => {
  const twins = ["b", "a", "c"].map((letter) => ({ storePath: `/nix/store/${letter.repeat(32)}-twin`, narSize: 1 }));
  const { root } = await show({ paths: twins });
  expect(options(root).map(({ title }) => title.slice(11, 12))).toEqual(["a", "b", "c"]);
});

test("filters by all words, in name or hash, whatever their case", async () => {
  const { element, root, filter } = await show();
  expect(filter.getAttribute("aria-label")).toBe("Filter store paths");
  for (const [text, found] of [
    ["hello", ["hello-2.12", "hello-doc"]],
    ["HELLO doc", ["hello-doc"]],
    [hashOf(storePathOf("bash-5.2")).slice(3, 15), ["bash-5.2"]],
    ["hello bash", []],
    ["  ", ["bash-5.2", "hello-2.12", "hello-doc", "zlib-1.3"]],
  ] as const) {
    type(filter, text);
    await element.updateComplete;
    expect(names(root)).toEqual(found);
    expect(status(root)).toBe(`${found.length} of 4`);
  }
});

test("says that nothing matches; an empty list says nothing", async () => {
  const { element, root, list, filter } = await show();
  type(filter, "<b>nix</b>");
  await element.updateComplete;
  expect(textOf(list)).toBe("Nothing matches “<b>nix</b>”.");
  expect([root.querySelector("b"), list.hasAttribute("aria-activedescendant")]).toEqual([null, false]);
  const empty = await show({ paths: [] });
  expect([textOf(empty.list), status(empty.root)]).toEqual(["", "0 paths"]);
});

test("tells which path was opened, by click and by key", async () => {
  const { element, root, list } = await show();
  const opened = record<{ storePath: string }>(document.body, "tvix-select");
  options(root)[1]?.click();
  await element.updateComplete;
  expect(active(root)).toBe("hello-2.12");
  press(list, "ArrowDown");
  expect(press(list, "Enter")).toBe(true);
  press(list, " ");
  expect(opened.map(({ storePath }) => nameOf(storePath))).toEqual(["hello-2.12", "hello-doc", "hello-doc"]);
});

test("the selected path is the active one, and is marked as selected", async () => {
  const { element, root, list } = await show({ selected: storePathOf("hello-doc") });
  expect([selected(root), active(root)]).toEqual([["hello-doc"], "hello-doc"]);
  expect(list.getAttribute("aria-activedescendant")).toBe(find(root, "[data-active]").id);
  element.selected = undefined;
  await element.updateComplete;
  expect(selected(root)).toEqual([]);
});

test("keys move to every row, and stop at the ends", async () => {
  const { element, root, list } = await show();
  for (const [key, name] of [
    ["ArrowUp", "bash-5.2"],
    ["ArrowDown", "hello-2.12"],
    ["End", "zlib-1.3"],
    ["ArrowDown", "zlib-1.3"],
    ["PageUp", "bash-5.2"],
    ["PageDown", "zlib-1.3"],
    ["Home", "bash-5.2"],
  ] as const) {
    expect(press(list, key)).toBe(true);
    await element.updateComplete;
    expect(active(root)).toBe(name);
  }
  expect([press(list, "Tab"), press(list, "x"), press(list, "a", { ctrlKey: true })]).toEqual([false, false, false]);
});

test("from the filter, Arrow Down goes to the list, and Enter opens the only match", async () => {
  const { element, root, list, filter } = await show();
  const opened = record<{ storePath: string }>(document.body, "tvix-select");
  filter.focus();
  press(filter, "Enter");
  expect(opened).toEqual([]);
  type(filter, "zlib");
  await element.updateComplete;
  press(filter, "Enter");
  expect(opened.map(({ storePath }) => nameOf(storePath))).toEqual(["zlib-1.3"]);
  expect(press(filter, "ArrowDown")).toBe(true);
  expect(root.activeElement).toBe(list);
});

test("the active row stays within a list that the filter shortens", async () => {
  const { element, root, list, filter } = await show();
  press(list, "End");
  type(filter, "hello");
  await element.updateComplete;
  expect(active(root)).toBe("hello-doc");
});

test("several paths can be chosen, one by one or all that match, and left again", async () => {
  const { element, root, list, filter } = await show({ multiple: true, label: "Paths to push" });
  const chosen = record<{ chosen: ReadonlySet<string> }>(element, "tvix-choose");
  const opened = record(element, "tvix-select");
  const last = (): string[] => [...(chosen.at(-1)?.chosen ?? [])].map(nameOf).sort();
  expect([list.getAttribute("aria-multiselectable"), list.getAttribute("aria-label")]).toEqual(["true", "Paths to push"]);
  options(root)[3]?.click();
  expect(last()).toEqual(["zlib-1.3"]);
  type(filter, "hello");
  await element.updateComplete;
  expect(press(list, "a", { ctrlKey: true })).toBe(true);
  expect(last()).toEqual(["hello-2.12", "hello-doc"]);
  await element.updateComplete;
  expect([selected(root), status(root)]).toEqual([["hello-2.12", "hello-doc"], "2 chosen"]);
  press(list, "a", { metaKey: true });
  expect(last()).toEqual([]);
  press(list, " ");
  press(list, " ");
  expect([last(), opened]).toEqual([[], []]);
});

test("a choice does not change the set that the page gave", async () => {
  const given = new Set([storePathOf("zlib-1.3")]);
  const { root } = await show({ multiple: true, chosen: given });
  options(root)[0]?.click();
  expect([...given]).toEqual([storePathOf("zlib-1.3")]);
});

test("words mark the paths that they are given for", async () => {
  const { root } = await show({ marks: new Map([[storePathOf("bash-5.2"), "here"]]) });
  expect(
    [...root.querySelectorAll(".mark")].map((mark) => [
      textOf(mark),
      names(mark.closest("[role=option]")?.parentElement ?? root)[0],
    ]),
  ).toEqual([["here", "bash-5.2"]]);
});

test("stays small with 50,000 paths, and scrolls to the selected one", async () => {
  const paths = Array.from({ length: 50_000 }, (_, i) => ({
    storePath: `/nix/store/${"0".repeat(32)}-n${String(i).padStart(5, "0")}`,
    narSize: 1,
  }));
  const { root, list } = await show({ paths, selected: paths[40_000]?.storePath });
  await expect.poll(() => active(root)).toBe("n40000");
  expect(options(root).length).toBeLessThan(60);
  expect(list.scrollTop).toBeGreaterThan(40_000 * 10);
});
