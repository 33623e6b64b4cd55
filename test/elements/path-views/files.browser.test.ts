import { render } from "lit";
import { expect, test } from "vitest";
import { utf8 } from "../../../src/bytes.ts";
import "../../../src/elements/index.ts";
import { filesView } from "../../../src/elements/path-views/files.ts";
import type { ShownPath } from "../../../src/elements/path-views/path-view.ts";
import { formatRoute, ROOT } from "../../../src/elements/route.ts";
import { each, FILE, fakeStore, pathInfo } from "../fake-store.browser.ts";
import { find } from "../page.browser.ts";

const INFO = pathInfo("tree");
const STORE = fakeStore({ list: () => each([]) });

function show(parts: Partial<ShownPath>): HTMLElement {
  const page = document.createElement("div");
  render(filesView.render({ store: STORE, info: INFO, path: ROOT, paths: [], go: () => {}, ...parts }), page);
  return page;
}

test("a directory has a tree and a preview of the same store path", () => {
  const path = utf8("dir/file");
  const page = show({ path });
  for (const element of [find(page, "tvix-file-tree"), find(page, "tvix-file-preview")])
    expect(element).toMatchObject({ store: STORE, storePath: INFO.storePath, path });
});

test("a narrow screen shows the tree or the open file, with a way back to the tree", () => {
  expect(show({}).querySelector(".files")?.className).toBe("files at-tree");
  const page = show({ path: utf8("file") });
  expect(page.querySelector(".files")?.className).toBe("files at-file");
  expect(find(page, ".back").getAttribute("href")).toBe(`#${INFO.storePath}`);
});

test("a store path that is a file or a link has no tree", () => {
  for (const node of [FILE, { kind: "symlink", target: utf8("x") } as const]) {
    const page = show({ info: pathInfo("single", { node }) });
    expect(page.querySelector("tvix-file-tree")).toBeNull();
    expect(find(page, ".files.one > tvix-file-preview")).toMatchObject({ path: ROOT });
  }
});

test("a file that the reader opens in the tree is the next place", () => {
  const places: string[] = [];
  const page = show({ go: (route) => places.push(formatRoute(route)) });
  find(page, "tvix-file-tree").dispatchEvent(new CustomEvent("tvix-open", { detail: { path: utf8("dir/a b") } }));
  expect(places).toEqual([`#${INFO.storePath}/dir/a%20b`]);
});
