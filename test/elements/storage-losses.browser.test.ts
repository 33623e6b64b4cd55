import { html, render } from "lit";
import { expect, test } from "vitest";
import { hasLosses, type LossOptions, lossWarnings } from "../../src/elements/storage-losses.ts";
import type { Store } from "../../src/index.ts";
import { fakeStore } from "./fake-store.browser.ts";
import { textOf } from "./page.browser.ts";

function alerts(store: Store | undefined, options?: LossOptions): string[] {
  const page = document.createElement("div");
  render(lossWarnings(store, options), page);
  return [...page.querySelectorAll('[role="alert"]')].map(textOf);
}

const lost = (evicted: boolean, missingPacks: number, unindexedPacks = 0): Store =>
  fakeStore({ losses: { evicted, missingPacks, unindexedPacks } });

test("a store that lost nothing has no warning", () => {
  for (const store of [undefined, lost(false, 0)]) expect([hasLosses(store), alerts(store)]).toEqual([false, []]);
});

test("warns of a store that the browser has deleted, also after a check", () => {
  expect(hasLosses(lost(true, 0))).toBe(true);
  for (const whole of [false, true])
    expect(alerts(lost(true, 0), { whole })).toEqual([
      expect.stringMatching(/^The browser has deleted this store.*Import or pull/),
    ]);
});

test("warns of missing packs, until a check found nothing missing", () => {
  expect(hasLosses(lost(false, 1))).toBe(true);
  expect(alerts(lost(false, 1))).toEqual([expect.stringMatching(/^1 pack of this store is missing/)]);
  expect(alerts(lost(false, 2))).toEqual([expect.stringMatching(/^2 packs of this store are missing/)]);
  expect(alerts(lost(false, 2), { whole: true })).toEqual([]);
});

test("warns of packs that the database lacks, until they were restored", () => {
  expect(hasLosses(lost(false, 0, 1))).toBe(true);
  expect(alerts(lost(false, 0, 1))).toEqual([
    expect.stringMatching(/lacks 1 pack whose file is still on the disk\. “Restore” in Storage/),
  ]);
  const restore = html`<button>Restore</button>`;
  expect(alerts(lost(false, 0, 2), { restore })).toEqual([
    expect.stringMatching(/lacks 2 packs whose files are.*Restoring.*Restore$/),
  ]);
  // What can be restored need not be imported again.
  const [evicted] = alerts(lost(true, 0, 1));
  expect(evicted).toMatch(/^The browser has deleted this store/);
  expect(evicted).not.toContain("Import or pull");
  expect(alerts(lost(true, 0, 1), { restored: true })).toEqual([]);
});
