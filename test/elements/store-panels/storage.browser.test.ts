import { render } from "lit";
import { expect, test } from "vitest";
import "../../../src/elements/index.ts";
import { storagePanel } from "../../../src/elements/store-panels/storage.ts";
import { fakeStore } from "../fake-store.browser.ts";
import { find } from "../page.browser.ts";

test("measures the storage only while the reader sees the panel", () => {
  const page = document.createElement("div");
  for (const shown of [true, false]) {
    render(storagePanel.render({ store: fakeStore(), paths: [], daemon: "http://daemon:8000", shown }), page);
    expect(find(page, "tvix-store-storage")).toMatchObject({ paused: !shown, daemon: "http://daemon:8000" });
  }
});

test("warns of a store that lost something", () => {
  expect(storagePanel.warns?.(fakeStore())).toBe(false);
  expect(storagePanel.warns?.(fakeStore({ losses: { evicted: true, missingPacks: 0, unindexedPacks: 0 } }))).toBe(true);
});
