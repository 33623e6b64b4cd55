import { afterEach, expect, test } from "vitest";
import { forgetKey, KeptKeys, keepKeys, keptKeys } from "../../src/elements/kept-keys.ts";

const A = `a-1:${"A".repeat(43)}=`;
const B = `b-1:${"B".repeat(42)}A=`;
const ITEM = "tvix-store-web.trusted-public-keys";

afterEach(() => localStorage.removeItem(ITEM));

test("keys are kept once each, and forgotten", () => {
  expect(keptKeys()).toEqual([]);
  keepKeys(` ${A}\n${B} `);
  keepKeys(A);
  expect(keptKeys()).toEqual([A, B]);
  forgetKey(A);
  expect(keptKeys()).toEqual([B]);
});

test("what is no key is refused with all that came with it, and so is another key of a name", () => {
  keepKeys(A);
  for (const text of ["", "x", `${B} x`, A.replace("AAA=", "AAE="), `a-1:${"B".repeat(42)}A=`])
    expect(() => keepKeys(text)).toThrow(expect.objectContaining({ code: "invalid" }));
  expect(keptKeys()).toEqual([A]);
});

test("what others left in the place of the keys is passed over", () => {
  localStorage.setItem(ITEM, `{"a": 1} ${B} \u0000 b-1:${"A".repeat(43)}=`);
  expect(keptKeys()).toEqual([B]);
});

test("who shows the keys hears of every change, until it is gone", () => {
  let updates = 0;
  const host = { addController() {}, removeController() {}, requestUpdate: () => updates++, updateComplete: Promise.resolve(true) };
  const kept = new KeptKeys(host);
  kept.hostConnected();
  const before = updates;
  keepKeys(A);
  expect(kept.keys).toEqual([A]);
  expect(updates).toBe(before + 1);
  // As from another tab, which writes first.
  localStorage.setItem(ITEM, B);
  dispatchEvent(new StorageEvent("storage", { key: ITEM }));
  expect(kept.keys).toEqual([B]);
  dispatchEvent(new StorageEvent("storage", { key: "something else" }));
  expect(updates).toBe(before + 2);
  kept.hostDisconnected();
  forgetKey(B);
  expect(updates).toBe(before + 2);
});
