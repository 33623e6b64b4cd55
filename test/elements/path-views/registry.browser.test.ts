import { render } from "lit";
import { expect, test } from "vitest";
import { ROOT } from "../../../src/elements/route.ts";
import "../../../src/elements/index.ts";
import { PATH_VIEWS, pathViewsFor } from "../../../src/elements/path-views/registry.ts";
import type { PathInfo } from "../../../src/index.ts";
import { FILE, pathInfo } from "../fake-store.browser.ts";
import { selectorsOf } from "../view-styles.browser.ts";

const INFOS: readonly PathInfo[] = [pathInfo("directory"), pathInfo("file", { node: FILE })];

/** The element that each view renders for a directory. */
const RENDERED: Readonly<Record<string, string>> = {
  files: ".files.at-tree > tvix-file-tree",
  info: "tvix-path-info",
};

test("each view has a sample, a name of its own, and styles that apply to itself only", () => {
  expect(PATH_VIEWS.map(({ name }) => name).sort()).toEqual(Object.keys(RENDERED).sort());
  for (const { name, styles } of PATH_VIEWS) {
    const selectors = styles ? selectorsOf(styles) : [];
    expect(selectors.filter((selector) => !selector.startsWith(`.view-${name} `))).toEqual([]);
  }
});

test.each(Object.entries(RENDERED))("%s accepts a directory and a file, and renders the directory", (name, part) => {
  for (const info of INFOS) expect(pathViewsFor(info).map((view) => view.name)).toContain(name);
  const view = PATH_VIEWS.find((candidate) => candidate.name === name);
  const page = document.createElement("div");
  render(view?.render({ store: undefined, info: INFOS[0] as PathInfo, path: ROOT, paths: INFOS, go: () => {} }), page);
  expect(page.querySelector(part)).not.toBeNull();
});

test("the view of files comes first, and accepts every store path", () => {
  for (const info of INFOS) expect(pathViewsFor(info)[0]?.name).toBe("files");
});
