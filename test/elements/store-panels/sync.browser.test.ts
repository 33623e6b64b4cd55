import { render } from "lit";
import { expect, test } from "vitest";
import "../../../src/elements/index.ts";
import { syncPanel } from "../../../src/elements/store-panels/sync.ts";
import { fakeStore, pathInfo } from "../fake-store.browser.ts";
import { find } from "../page.browser.ts";

test("gives the element the paths to push and the daemon to start with", () => {
  const page = document.createElement("div");
  const paths = [pathInfo("a")];
  render(syncPanel.render({ store: fakeStore(), paths, daemon: "http://daemon:8000", shown: true }), page);
  expect(find(page, "tvix-sync")).toMatchObject({ paths, daemon: "http://daemon:8000" });
});
