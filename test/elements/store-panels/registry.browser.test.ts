import { render } from "lit";
import { expect, test } from "vitest";
import "../../../src/elements/index.ts";
import { STORE_PANELS } from "../../../src/elements/store-panels/registry.ts";
import { fakeStore, pathInfo } from "../fake-store.browser.ts";

/** The elements that each panel renders. */
const PANELS: Readonly<Record<string, readonly string[]>> = {
  import: ["tvix-import", "tvix-binary-cache"],
  sync: ["tvix-sync"],
  storage: ["tvix-store-storage"],
};

test("each panel has a sample, a name of its own, and words for its button and title", () => {
  expect(STORE_PANELS.map(({ name }) => name).sort()).toEqual(Object.keys(PANELS).sort());
  for (const { button, title } of STORE_PANELS) expect([button, title]).not.toContain("");
});

test.each(STORE_PANELS.map((panel) => [panel.name, panel] as const))("%s gives its elements the store", (name, panel) => {
  const page = document.createElement("div");
  const store = fakeStore();
  render(panel.render({ store, paths: [pathInfo("a")], daemon: "http://daemon:8000", shown: false }), page);
  for (const tag of PANELS[name] ?? []) expect(page.querySelector(tag)).toMatchObject({ store });
});
