import { render } from "lit";
import { expect, test } from "vitest";
import { hasLosses, lossWarnings } from "../../src/elements/storage-losses.ts";
import type { Store } from "../../src/index.ts";
import { fakeStore } from "./fake-store.browser.ts";
import { textOf } from "./page.browser.ts";

function alerts(store: Store | undefined, repaired?: boolean): string[] {
  const page = document.createElement("div");
  render(lossWarnings(store, repaired), page);
  return [...page.querySelectorAll('[role="alert"]')].map(textOf);
}

const lost = (evicted: boolean, missingPacks: number): Store => fakeStore({ losses: { evicted, missingPacks, unindexedPacks: 0 } });

test("a store that lost nothing has no warning", () => {
  for (const store of [undefined, lost(false, 0)]) expect([hasLosses(store), alerts(store)]).toEqual([false, []]);
});

test("warns of a store that the browser has deleted, also after a repair", () => {
  expect(hasLosses(lost(true, 0))).toBe(true);
  for (const repaired of [false, true])
    expect(alerts(lost(true, 0), repaired)).toEqual([expect.stringContaining("The browser has deleted this store")]);
});

test("warns of missing packs, until a check found nothing missing", () => {
  expect(hasLosses(lost(false, 1))).toBe(true);
  expect(alerts(lost(false, 1))).toEqual([expect.stringMatching(/^1 pack of this store is missing/)]);
  expect(alerts(lost(false, 2))).toEqual([expect.stringMatching(/^2 packs of this store are missing/)]);
  expect(alerts(lost(false, 2), true)).toEqual([]);
});
