import { afterEach, expect, test, vi } from "vitest";
import { concatBytes, utf8 } from "../../src/bytes.ts";
import type { TvixFilePreview } from "../../src/elements/file-preview.ts";
import type { Store, StoreFile } from "../../src/index.ts";
import { StoreError } from "../../src/index.ts";
import type { ListEntry } from "../../src/store/list-entry.ts";
import { pseudoRandom } from "../conformance/content.ts";
import { directory, each, entry, FILE, fakeStore, held, link, pathInfo, storePathOf } from "./fake-store.browser.ts";
import { type Mounted, mount } from "./mount.browser.ts";
import { button, click, find, textOf } from "./page.browser.ts";

const PNG_SIGNATURE = new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
const BINARY = pseudoRandom(10_000, 1);
const STORE_PATH = storePathOf("tree");

afterEach(() => vi.restoreAllMocks());

/** A file of a store: a Blob has the methods that the preview uses. */
function storeFile(content: Uint8Array | string): StoreFile {
  return new Blob([typeof content === "string" ? content : new Uint8Array(content)]) as unknown as StoreFile;
}

/** A store whose store path holds these files in its root. */
function storeOf(files: Readonly<Record<string, Uint8Array | string>>, entries: readonly ListEntry[] = []): Store {
  return fakeStore({
    list: () => each([...Object.keys(files).map((name) => entry(name)), ...entries]),
    async file(_, path = "") {
      const content = files[typeof path === "string" ? path : new TextDecoder().decode(path)];
      return content === undefined ? undefined : storeFile(content);
    },
  });
}

/** Shows the file `name` of a store path. */
async function show(store: Store, name: string | Uint8Array = "file"): Promise<Mounted<TvixFilePreview>> {
  const path = typeof name === "string" ? utf8(name) : name;
  const mounted = await mount("tvix-file-preview", { store, storePath: STORE_PATH, path });
  await expect.poll(() => textOf(mounted.root.querySelector(".body"))).not.toMatch(/Reading|^$/);
  return mounted;
}

const views = (root: ShadowRoot): string[] =>
  [...root.querySelectorAll('[role="group"][aria-label="Show as"] button')].map((each) => textOf(each));
const pressed = (root: ShadowRoot): string => textOf(root.querySelector('[aria-label="Show as"] [aria-pressed="true"]'));
const body = (root: ShadowRoot): HTMLElement => find(root, '[role="region"]');

test("shows a text with its name and size, in a region that scrolls by keyboard", async () => {
  const { root } = await show(storeOf({ file: "some text\n" }));
  expect([textOf(root.querySelector("h3")), pressed(root)]).toEqual(["file", "Text"]);
  expect(textOf(find(root, ".bar"))).toContain("10 B");
  expect([body(root).getAttribute("aria-label"), body(root).tabIndex]).toEqual(["Content of file", 0]);
  expect(root.querySelector(".content")?.textContent).toBe("some text\n");
});

test("shows an unknown file as bytes; a view that the reader leaves keeps its state", async () => {
  const { root } = await show(storeOf({ file: BINARY }));
  expect([views(root), pressed(root)]).toEqual([["Text", "Hex"], "Hex"]);
  click(root, "Later bytes");
  await expect.poll(() => root.querySelector(".view-bytes .hex")?.textContent).toMatch(/^00001000/);
  click(root, "Text");
  await expect.poll(() => root.querySelector(".view-text .content")).not.toBeNull();
  click(root, "Hex");
  await expect.poll(() => root.querySelector(".view-bytes .hex")?.textContent).toMatch(/^00001000/);
});

test("shows an image that the browser can't decode in the next view", async () => {
  const { root } = await show(storeOf({ file: concatBytes([PNG_SIGNATURE, BINARY]) }));
  await expect.poll(() => pressed(root)).toBe("Hex");
  await expect.poll(() => root.querySelector(".hex")?.textContent).toContain(".PNG");
  expect(views(root)).toEqual(["Image", "Text", "Hex"]);
});

test("says of an empty file that it is empty", async () => {
  const { root } = await show(storeOf({ file: "" }));
  expect(body(root).textContent).toBe("This file is empty.");
  expect(root.querySelector(".foot")?.childElementCount).toBe(0);
});

test("marks an executable", async () => {
  const store = fakeStore({ list: () => each([entry("file", { executable: true })]), file: async () => storeFile("#!/bin/sh") });
  const { root } = await show(store);
  expect(root.querySelector('[title="Executable"]')).not.toBeNull();
});

test("shows where a symbolic link leads: as a link within the store, as text elsewhere", async () => {
  const links = [link("in", "dir/x"), link("out", "/etc/passwd"), { ...link("odd", ""), targetBytes: new Uint8Array([0xff]) }];
  const within = await show(storeOf({}, links), "in");
  expect(textOf(body(within.root))).toBe("A symbolic link to dir/x");
  expect(within.root.querySelector("a")?.getAttribute("href")).toBe(`#${STORE_PATH}/dir/x`);
  const outside = await show(storeOf({}, links), "out");
  expect([textOf(body(outside.root)), outside.root.querySelector("a")]).toEqual(["A symbolic link to /etc/passwd", null]);
  const odd = await show(storeOf({}, links), "odd");
  expect(odd.root.querySelector("a")?.getAttribute("href")).toBe(`#${STORE_PATH}/%FF`);
  expect(textOf(body(odd.root))).toBe("A symbolic link to \\xff");
});

test("asks for a file if a directory is open", async () => {
  const { root } = await show(storeOf({}, [directory("dir")]), "dir");
  expect(textOf(body(root))).toBe("A directory. Choose a file in the tree.");
  const store = fakeStore({ pathInfo: async () => pathInfo("tree") });
  const whole = await mount("tvix-file-preview", { store, storePath: STORE_PATH });
  await expect.poll(() => textOf(whole.root)).toBe("Choose a file.");
});

test("shows a store path that is a file or a link under the name of the store path", async () => {
  const file = fakeStore({ pathInfo: async () => pathInfo("tree", { node: FILE }), file: async () => storeFile("text") });
  const shown = await show(file, "");
  expect(textOf(shown.root.querySelector("h3"))).toBe("tree");
  const target = pathInfo("tree", { node: { kind: "symlink", target: utf8("./x") } });
  const linked = await show(fakeStore({ pathInfo: async () => target }), "");
  expect(textOf(body(linked.root))).toBe("A symbolic link to ./x");
});

test("a path that does not exist, or content that can't be read, is an alert", async () => {
  const { root } = await show(storeOf({}), "mis\u202esing");
  expect(textOf(root.querySelector('[role="alert"]'))).toBe(`There is no mis\\u{202e}sing in ${STORE_PATH}.`);
  const broken = fakeStore({
    list: () => each([entry("file")]),
    file: () => Promise.reject(new StoreError("corrupt", "chunk c is bad")),
  });
  const second = await show(broken);
  expect(textOf(second.root.querySelector('[role="alert"]'))).toContain("Chunk c is bad");
});

test("a page of bytes that can't be read is an alert", async () => {
  const content = storeFile(BINARY);
  let broken = false;
  const slice: StoreFile["slice"] = (start, end) => {
    if (broken) throw new StoreError("corrupt", "chunk c is bad");
    return content.slice(start, end);
  };
  const file = { size: BINARY.length, slice } as unknown as StoreFile;
  const { root } = await show(fakeStore({ list: () => each([entry("file")]), file: async () => file }));
  broken = true;
  click(root, "Last bytes");
  await expect.poll(() => textOf(root.querySelector('[role="alert"]'))).toContain("Chunk c is bad");
  expect(root.querySelector(".foot")?.childElementCount).toBe(0);
});

test("shows content only as text: nothing in it becomes a part of the page", async () => {
  const { root } = await show(storeOf({ file: "<script>alert(1)</script><img src=x onerror=alert(1)>" }));
  expect(root.querySelector("script, img")).toBeNull();
  expect(root.querySelector(".content")?.textContent).toContain("<script>");
});

test("names of any bytes are shown with escapes", async () => {
  const name = concatBytes([utf8("a\n"), new Uint8Array([0xff])]);
  const store = fakeStore({ list: () => each([entry(name)]), file: async () => storeFile("text") });
  const { root } = await show(store, name);
  expect([textOf(root.querySelector("h3")), body(root).getAttribute("aria-label")]).toEqual([
    "a\\u{a}\\xff",
    "Content of a\\u{a}\\xff",
  ]);
});

test("shows another file from its start, and nothing that arrives late of the earlier one", async () => {
  const late = held<StoreFile>();
  const store = fakeStore({
    list: () => each([entry("late"), entry("file")]),
    file: (_, path) =>
      path?.length === 4 && new TextDecoder().decode(path as Uint8Array) === "late"
        ? late.promise
        : Promise.resolve(storeFile("text")),
  });
  const { element, root } = await mount("tvix-file-preview", { store, storePath: STORE_PATH, path: utf8("late") });
  expect(textOf(body(root))).toBe("Reading…");
  element.path = utf8("file");
  await expect.poll(() => root.querySelector(".content")?.textContent).toBe("text");
  late.resolve(storeFile("late"));
  await new Promise((resolve) => setTimeout(resolve));
  await element.updateComplete;
  expect(root.querySelector(".content")?.textContent).toBe("text");
});

test("releases an image when another file is opened, and when it leaves the page", async () => {
  const revoke = vi.spyOn(URL, "revokeObjectURL");
  const canvas = document.createElement("canvas");
  const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, "image/png"));
  const png = new Uint8Array(await (blob ?? new Blob()).arrayBuffer());
  const mounted = await mount("tvix-file-preview", {
    store: storeOf({ file: png, text: "text" }),
    storePath: STORE_PATH,
    path: utf8("file"),
  });
  const image = (): string => mounted.root.querySelector("img")?.src ?? "";
  await expect.poll(image).toMatch(/^blob:/);
  const first = image();
  mounted.element.path = utf8("text");
  await expect.poll(() => revoke.mock.calls.flat()).toEqual([first]);
  mounted.element.path = utf8("file");
  await expect.poll(image).toMatch(/^blob:/);
  const second = image();
  mounted.element.remove();
  expect(revoke.mock.calls.flat()).toEqual([first, second]);
});

test("downloads a file under a name that file systems accept", async () => {
  const offered: string[] = [];
  vi.spyOn(HTMLAnchorElement.prototype, "click").mockImplementation(function (this: HTMLAnchorElement) {
    offered.push(this.download);
  });
  const { root } = await show(storeOf({ 'a:"b"': "text" }), 'a:"b"');
  expect(textOf(button(root, "Download file"))).toBe("Download");
  click(root, "Download file");
  await expect.poll(() => offered).toEqual(["a__b_"]);
});
