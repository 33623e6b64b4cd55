import { html, nothing, render } from "lit";
import { expect, test } from "vitest";
import { isWhole, verifyResult } from "../../src/elements/verify-result.ts";
import type { VerifyReport } from "../../src/thread/maintenance-api.ts";
import { storePathOf } from "./fake-store.browser.ts";
import { textOf } from "./page.browser.ts";

const WHOLE: VerifyReport = { objects: 3, bytes: 2048, corrupt: [], missing: [], storePaths: [], refetched: 0 };
const CHUNK = { kind: "chunk", name: "b3:AAAA" } as const;
const PATH = storePathOf("damaged");

function show(report: Partial<VerifyReport>, repair = html`<button>Repair</button>`): HTMLElement {
  const page = document.createElement("div");
  render(verifyResult({ ...WHOLE, ...report }, repair ?? nothing), page);
  return page;
}

const list = (page: HTMLElement, label: string): string[] | undefined => {
  const found = page.querySelector(`ul[aria-label="${label}"]`);
  return found ? [...found.children].map(textOf) : undefined;
};

test("a store is whole if nothing is damaged or missing, and no store path is affected", () => {
  expect(isWhole(WHOLE)).toBe(true);
  for (const part of [{ corrupt: [CHUNK] }, { missing: [CHUNK] }, { storePaths: [PATH] }])
    expect(isWhole({ ...WHOLE, ...part })).toBe(false);
});

test("says that all is well as a status, and offers no repair", () => {
  const page = show({});
  expect(textOf(page.querySelector('[role="status"]'))).toBe("Everything is as it should be: 3 objects, 2.0 KiB compared.");
  expect(page.querySelector("button, [role=alert]")).toBeNull();
});

test("lists damage by kind, with links to the affected store paths, and offers the repair", () => {
  const page = show({
    corrupt: [CHUNK],
    missing: [
      { kind: "directory", name: "b3:D" },
      { kind: "blob", name: "b3:B" },
    ],
    storePaths: [PATH],
  });
  expect(textOf(page.querySelector('[role="alert"]'))).toBe("1 object damaged, 2 objects missing (3 objects, 2.0 KiB compared)");
  expect(list(page, "Damaged")).toEqual(["chunk b3:AAAA"]);
  expect(list(page, "Missing")).toEqual(["directory b3:D", "file content b3:B"]);
  expect(list(page, "Affected store paths")).toEqual([PATH]);
  expect(page.querySelector("a")?.getAttribute("href")).toBe(`#${PATH}`);
  expect(page.querySelector("button")).not.toBeNull();
  for (const each of page.querySelectorAll("ul")) expect(each.tabIndex).toBe(0);
});

test("damage that no store path needs is left to garbage collection", () => {
  const page = show({ corrupt: [CHUNK] });
  expect(textOf(page)).toContain("No store path needs them. Garbage collection deletes them.");
  expect(list(page, "Affected store paths")).toBeUndefined();
  expect(page.querySelector("button")).toBeNull();
});

test("of a damaged record, only the hash part of the store path is known", () => {
  const hash = PATH.slice(11, 43);
  const page = show({ corrupt: [{ kind: "path-info", name: hash }], storePaths: [hash] });
  expect(list(page, "Affected store paths")).toEqual([`/nix/store/${hash}-…`]);
  expect(list(page, "Damaged")).toEqual([`record of a store path ${hash}`]);
  expect(page.querySelector("a")).toBeNull();
});

test("lists 200 items, and counts the others", () => {
  const missing = Array.from({ length: 202 }, (_, i) => ({ ...CHUNK, name: `b3:${i}` }));
  const items = list(show({ missing }), "Missing");
  expect([items?.length, items?.[199], items?.[200]]).toEqual([201, "chunk b3:199", "and 2 others"]);
  expect(list(show({ missing: missing.slice(0, 200) }), "Missing")?.length).toBe(200);
});
