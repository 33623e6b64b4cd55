import { render } from "lit";
import { expect, test } from "vitest";
import { storageFigures } from "../../src/elements/storage-figures.ts";
import type { StorageUsage } from "../../src/thread/maintenance-api.ts";
import { USAGE } from "./fake-store.browser.ts";
import { count, textOf } from "./page.browser.ts";

function show(usage: StorageUsage | undefined, storage: StorageUsage["storage"] | undefined = "opfs"): HTMLElement {
  const page = document.createElement("div");
  render(storageFigures(storage, usage), page);
  return page;
}

/** The text of each row, by the text of its term. */
function rows(page: HTMLElement): Record<string, string> {
  return Object.fromEntries([...page.querySelectorAll("dt")].map((term) => [textOf(term), textOf(term.nextElementSibling)]));
}

test("shows the figures with their units", () => {
  const page = show({ ...USAGE, storePaths: 2000 });
  expect(rows(page)).toEqual({
    "Kept in": "files of this site (OPFS)",
    "Store paths": count(2000),
    "Their size": "4.0 KiB as NARs",
    Stored: "1.0 KiB de-duplication saves 3.0 KiB (75 %) 3 chunks 900 B 2 directories 100 B 1 chunk lists 24 B",
    "On disk": "3.0 KiB in 1 pack garbage collection can free 2.0 KiB of it",
    "This site": "10 KiB of 100 KiB that the browser allows",
  });
  expect(page.querySelector("dl")?.getAttribute("aria-busy")).toBe("false");
});

test("has the same rows while it counts, so that nothing moves later", () => {
  const page = show(undefined, undefined);
  expect(Object.keys(rows(page))).toEqual(Object.keys(rows(show(USAGE))));
  expect(page.querySelector("dl")?.getAttribute("aria-busy")).toBe("true");
  expect(rows(page)["Store paths"]).toBe("…");
  expect(page.querySelectorAll("li").length).toBe(3);
});

test.each([
  [4096, 4096],
  [4096, 8192],
  [0, 0],
  [1000, 995],
])("tells of no saving if there is none: %i bytes as NARs, %i stored", (logical, stored) => {
  expect(rows(show({ ...USAGE, logical, stored, packs: { count: 1, bytes: stored } })).Stored).not.toContain("saves");
});

test("tells that garbage collection frees nothing of packs without garbage", () => {
  expect(rows(show({ ...USAGE, packs: { count: 2, bytes: USAGE.stored } }))["On disk"]).toBe(
    "1.0 KiB in 2 packs garbage collection can free none of it",
  );
});

test("a meter shows how much of the quota is used, and warns from 90 % on", () => {
  const meter = show(USAGE).querySelector("meter");
  expect([meter?.getAttribute("aria-label"), meter?.max, meter?.value, meter?.high]).toEqual([
    "Space used by this site",
    102_400,
    10_240,
    92_160,
  ]);
});

test("a browser that reports no quota has no meter", () => {
  for (const parts of [{ originUsage: undefined }, { quota: undefined }, { quota: 0 }]) {
    const page = show({ ...USAGE, ...parts });
    expect(rows(page)["This site"]).toBe("unknown: the browser does not report it");
    expect(page.querySelector("meter")).toBeNull();
  }
});

test("names the storage in the database", () => {
  expect(rows(show(USAGE, "indexeddb"))["Kept in"]).toBe("this site's database (IndexedDB)");
});
