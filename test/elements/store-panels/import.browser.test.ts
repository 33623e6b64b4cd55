import { render } from "lit";
import { expect, test } from "vitest";
import "../../../src/elements/index.ts";
import { importPanel } from "../../../src/elements/store-panels/import.ts";
import { fakeStore } from "../fake-store.browser.ts";
import { find, textOf } from "../page.browser.ts";

test("has a named section for binary caches beneath the import of files", () => {
  const page = document.createElement("div");
  render(importPanel.render({ store: fakeStore(), paths: [], daemon: "", shown: true }), page);
  const section = find(page, "section");
  expect(textOf(find(page, `#${section.getAttribute("aria-labelledby")}`))).toBe("From a binary cache");
  expect(find(page, "tvix-import").compareDocumentPosition(section) & Node.DOCUMENT_POSITION_FOLLOWING).toBeTruthy();
});
