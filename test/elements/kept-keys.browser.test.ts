import { afterEach, expect, test } from "vitest";
import { forgetKey, KeptKeys, keepKeys, keptKeys } from "../../src/elements/kept-keys.ts";

const A = `a-1:${"A".repeat(43)}=`;
const B = `b-1:${"B".repeat(42)}A=`;
const ITEM = "tvix-store-web.trusted-public-keys";

afterEach(() => localStorage.removeItem(ITEM));

test("each key is kept once, and can be forgotten", () => {
  expect(keptKeys()).toEqual([]);
  keepKeys(` ${A}\n${B} `);
  keepKeys(A);
  expect(keptKeys()).toEqual([A, B]);
  forgetKey(A);
  expect(keptKeys()).toEqual([B]);
});

test("an invalid key is refused along with the keys added with it, and so is a different key of an existing name", () => {
  keepKeys(A);
  for (const text of ["", "x", `${B} x`, A.replace("AAA=", "AAE="), `a-1:${"B".repeat(42)}A=`])
    expect(() => keepKeys(text)).toThrow(expect.objectContaining({ code: "invalid" }));
  expect(keptKeys()).toEqual([A]);
});

test("invalid data in the keys' storage item is ignored", () => {
  localStorage.setItem(ITEM, `{"a": 1} ${B} \u0000 b-1:${"A".repeat(43)}=`);
  expect(keptKeys()).toEqual([B]);
});

test("a listener hears of every change until it is removed", () => {
  let updates = 0;
  const host = { addController() {}, removeController() {}, requestUpdate: () => updates++, updateComplete: Promise.resolve(true) };
  const kept = new KeptKeys(host);
  kept.hostConnected();
  const before = updates;
  keepKeys(A);
  expect(kept.keys).toEqual([A]);
  expect(updates).toBe(before + 1);
  // Another tab writes first and sends the event afterwards.
  localStorage.setItem(ITEM, B);
  dispatchEvent(new StorageEvent("storage", { key: ITEM }));
  expect(kept.keys).toEqual([B]);
  dispatchEvent(new StorageEvent("storage", { key: "something else" }));
  expect(updates).toBe(before + 2);
  kept.hostDisconnected();
  forgetKey(B);
  dispatchEvent(new StorageEvent("storage", { key: ITEM }));
  expect(updates).toBe(before + 2);
});
