import { render } from "lit";
import { expect, test } from "vitest";
import "../../../src/elements/index.ts";
import { infoView } from "../../../src/elements/path-views/info.ts";
import { ROOT } from "../../../src/elements/route.ts";
import { fakeStore, pathInfo } from "../fake-store.browser.ts";
import { find } from "../page.browser.ts";

test("shows the path info without the download, which the viewer has already", () => {
  const [store, info] = [fakeStore(), pathInfo("tree")];
  const paths = [info, pathInfo("other")];
  const page = document.createElement("div");
  render(infoView.render({ store, info, path: ROOT, paths, go: () => {} }), page);
  expect(find(page, "tvix-path-info")).toMatchObject({ store, info, paths, hideDownload: true });
});
