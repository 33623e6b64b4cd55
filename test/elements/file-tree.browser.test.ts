import { expect, test } from "vitest";
import { utf8 } from "../../src/bytes.ts";
import type { TvixFileTree } from "../../src/elements/file-tree.ts";
import { type Store, StoreError } from "../../src/index.ts";
import type { ListEntry } from "../../src/store/list-entry.ts";
import { directory, each, entry, failing, fakeStore, held, link, storePathOf } from "./fake-store.browser.ts";
import { type Mounted, mount } from "./mount.browser.ts";
import { find, press, record, textOf } from "./page.browser.ts";

const STORE_PATH = storePathOf("tree");

const ENTRIES: Readonly<Record<string, readonly ListEntry[]>> = {
  "": [directory("bin"), directory("share"), entry("README", { size: 2048 }), link("current", "bin/tool")],
  bin: [entry("tool", { executable: true }), entry("other")],
  share: [entry("data"), entry("more")],
};

function treeStore(listing: Readonly<Record<string, readonly ListEntry[]>> = ENTRIES): Store {
  return fakeStore({
    list(storePath, path = "") {
      expect(storePath).toBe(STORE_PATH);
      const text = typeof path === "string" ? path : new TextDecoder().decode(path);
      return each(listing[text] ?? []);
    },
  });
}

async function mountTree(properties: Partial<TvixFileTree> = {}): Promise<Mounted<TvixFileTree> & { tree: HTMLElement }> {
  const mounted = await mount("tvix-file-tree", { store: treeStore(), storePath: STORE_PATH, ...properties });
  const tree = find(mounted.root, '[role="tree"]');
  await expect.poll(() => tree.getAttribute("aria-busy")).toBe("false");
  return { ...mounted, tree };
}

const rows = (root: ParentNode): HTMLElement[] => [...root.querySelectorAll<HTMLElement>('[role="treeitem"]')];
const names = (root: ParentNode): string[] => rows(root).map((row) => textOf(row.querySelector(".name")));
const active = (root: ParentNode): string => textOf(root.querySelector("[data-active] .name"));

function rowOf(root: ParentNode, name: string): HTMLElement {
  const row = rows(root).find((one) => textOf(one.querySelector(".name")) === name);
  if (!row) throw new Error(`no row ${name}`);
  return row;
}

test("is a named tree, whose items tell their level, position, size, target and whether they are open", async () => {
  const { root, tree } = await mountTree({ path: utf8("README") });
  expect([tree.getAttribute("aria-label"), tree.tabIndex]).toEqual(["Files", 0]);
  expect(names(root)).toEqual(["bin", "share", "README", "current"]);
  const bin = rowOf(root, "bin");
  const attributes = ["aria-level", "aria-setsize", "aria-posinset", "aria-expanded", "aria-selected"];
  expect(attributes.map((name) => bin.getAttribute(name))).toEqual(["1", "4", "1", "false", "false"]);
  const readme = rowOf(root, "README");
  expect(attributes.map((name) => readme.getAttribute(name))).toEqual(["1", "4", "3", null, "true"]);
  expect(textOf(readme)).toBe("README 2.0 KiB");
  expect(textOf(rowOf(root, "current"))).toBe("current →links to bin/tool");
  bin.click();
  await expect.poll(() => names(root)).toEqual(["bin", "other", "tool", "share", "README", "current"]);
  expect(bin.getAttribute("aria-expanded")).toBe("true");
  expect(textOf(bin)).toBe("bin 2 entries");
  expect(textOf(rowOf(root, "tool"))).toBe("tool xexecutable 5 B");
  expect(rowOf(root, "tool").getAttribute("aria-level")).toBe("2");
});

test("tells that a file or link was chosen, with its path and entry", async () => {
  const { element, root } = await mountTree();
  const opened = record<{ path: Uint8Array; entry: ListEntry }>(document.body, "tvix-open");
  rowOf(root, "share").click();
  await expect.poll(() => names(root)).toContain("data");
  rowOf(root, "data").click();
  rowOf(root, "current").click();
  expect(opened.map(({ path, entry }) => [new TextDecoder().decode(path), entry.kind])).toEqual([
    ["share/data", "file"],
    ["current", "symlink"],
  ]);
  await element.updateComplete;
  expect(active(root)).toBe("current");
});

test("the keyboard acts on one row, which the tree names as its active descendant", async () => {
  const { root, tree } = await mountTree();
  const opened = record(tree, "tvix-open");
  expect(tree.hasAttribute("aria-activedescendant")).toBe(false);
  tree.focus();
  await expect.poll(() => active(root)).toBe("bin");
  expect(press(tree, "ArrowRight")).toBe(true);
  await expect.poll(() => rows(root).length).toBe(6);
  for (const [key, name] of [
    ["ArrowRight", "other"],
    ["ArrowDown", "tool"],
    ["ArrowLeft", "bin"],
    ["End", "current"],
    ["r", "README"],
  ] as const) {
    expect(press(tree, key)).toBe(true);
    await expect.poll(() => active(root)).toBe(name);
    expect(tree.getAttribute("aria-activedescendant")).toBe(find(root, "[data-active]").id);
  }
  const opens = record(document.body, "tvix-open");
  press(tree, "Enter");
  expect([opened.length, opens.length]).toEqual([0, 1]);
});

test("leaves keys to the browser that mean nothing in the tree, or that have a modifier", async () => {
  const { root, tree } = await mountTree();
  tree.focus();
  expect([press(tree, "Tab"), press(tree, "Escape"), press(tree, "F5")]).toEqual([false, false, false]);
  for (const modifier of ["ctrlKey", "altKey", "metaKey"]) expect(press(tree, "ArrowDown", { [modifier]: true })).toBe(false);
  await expect.poll(() => active(root)).toBe("bin");
});

test("shows the way to the open file, and follows when another file is opened", async () => {
  const { element, root } = await mountTree({ path: utf8("bin/tool") });
  expect(names(root)).toEqual(["bin", "other", "tool", "share", "README", "current"]);
  const selected = (): string => textOf(root.querySelector('[aria-selected="true"] .name'));
  expect([selected(), active(root)]).toEqual(["tool", "tool"]);
  element.path = utf8("share/more");
  await expect.poll(() => active(root)).toBe("more");
  expect(selected()).toBe("more");
});

test("renders only the rows in sight of a large directory, and scrolls to the open one", async () => {
  const many = Array.from({ length: 5000 }, (_, i) => entry(`file-${String(i).padStart(4, "0")}`));
  const { root, tree } = await mountTree({ store: treeStore({ "": many }), path: utf8("file-3000") });
  await expect.poll(() => active(root)).toBe("file-3000");
  expect(rows(root).length).toBeLessThan(60);
  const row = find(root, "[data-active]").getBoundingClientRect();
  const { top, bottom } = tree.getBoundingClientRect();
  expect(row.top >= top - 1 && row.bottom <= bottom + 1).toBe(true);
  expect(find(root, "[data-active]").getAttribute("aria-posinset")).toBe("3001");
});

test("says that a directory is empty, and why it can't be read", async () => {
  const { root } = await mountTree({ store: treeStore({}) });
  expect(textOf(root)).toBe("This directory is empty.");
  const broken = await mountTree({
    store: fakeStore({ list: () => failing(new StoreError("corrupt", "directory d is damaged")) }),
  });
  expect(textOf(broken.root.querySelector('[role="alert"]'))).toContain("Directory d is damaged");
  expect(textOf(broken.root)).not.toContain("empty");
});

test("tells at its row that a directory is being read, and why it can't be", async () => {
  const reading = held<void>();
  const list: Store["list"] = async function* (_, path = "") {
    if (path.length === 0) {
      yield directory("bad");
      yield entry("good");
      return;
    }
    await reading.promise;
    throw new StoreError("unavailable", "the disk is gone");
  };
  const { element, root } = await mountTree({ store: fakeStore({ list }) });
  rowOf(root, "bad").click();
  await element.updateComplete;
  expect(textOf(rowOf(root, "bad"))).toBe("bad reading…");
  reading.resolve();
  await expect.poll(() => textOf(rowOf(root, "bad"))).toBe("bad The disk is gone.");
  expect(rowOf(root, "bad").getAttribute("aria-expanded")).toBe("false");
});

test("a name can't break out of its row: control characters, markup, reversed and very long names", async () => {
  const long = "n".repeat(255);
  const hostile = ["<b>bold</b>", "line\nbreak", "good\u202egnp.exe", "\u0000\u001b[31m", long];
  const invalid = new Uint8Array([0x66, 0xff]);
  const store = treeStore({ "": [...hostile.map((name) => entry(name)), entry(invalid)] });
  const { root } = await mountTree({ store });
  expect(names(root)).toEqual(["\\u{0}\\u{1b}[31m", "<b>bold</b>", "f\\xff", "good\\u{202e}gnp.exe", "line\\u{a}break", long]);
  expect(root.querySelector("b")).toBeNull();
  const heights = new Set(rows(root).map((row) => row.getBoundingClientRect().height));
  expect(heights.size).toBe(1);
  const opened = record<{ path: Uint8Array }>(document.body, "tvix-open");
  rowOf(root, "f\\xff").click();
  expect(opened[0]?.path).toEqual(invalid);
});

test("shows another store path from its start, whatever arrives late of the earlier one", async () => {
  const late = held<void>();
  const earlier = fakeStore({
    async *list() {
      await late.promise;
      yield entry("late");
    },
  });
  const { element, root } = await mount("tvix-file-tree", { store: earlier, storePath: STORE_PATH });
  element.store = treeStore();
  await expect.poll(() => names(root)).toEqual(["bin", "share", "README", "current"]);
  late.resolve();
  await new Promise((resolve) => setTimeout(resolve));
  await element.updateComplete;
  expect(names(root)).toEqual(["bin", "share", "README", "current"]);
  element.storePath = undefined;
  await element.updateComplete;
  expect(names(root)).toEqual([]);
  expect(find(root, '[role="tree"]').getAttribute("aria-busy")).toBe("false");
});
