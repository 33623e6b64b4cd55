import { afterEach, describe, expect, test } from "vitest";
import { forget, rememberEvicted, wasEvicted } from "../../src/browser/eviction.ts";

const names: string[] = [];
afterEach(() => {
  for (const name of names.splice(0)) forget(name);
});

function newName(): string {
  const name = crypto.randomUUID();
  names.push(name);
  return name;
}

const keyOf = (name: string): string => `tvix-store-web:${name}`;

describe("a store that is being opened", () => {
  test("was not evicted if it is opened for the first time, or has the same identity as before", () => {
    const name = newName();
    expect(wasEvicted(name, "1")).toBe(false);
    expect(wasEvicted(name, "1")).toBe(false);
    expect(wasEvicted(newName(), "2")).toBe(false);
  });

  test("was evicted if its identity has changed; this is reported once", () => {
    const name = newName();
    // An earlier visit left this identity.
    localStorage.setItem(keyOf(name), "1");
    expect(wasEvicted(name, "2")).toBe(true);
    expect(wasEvicted(name, "2")).toBe(false);
  });

  test("was evicted if this page knew another identity, although local storage was cleared", () => {
    const name = newName();
    wasEvicted(name, "1");
    localStorage.removeItem(keyOf(name));
    expect(wasEvicted(name, "2")).toBe(true);
  });

  test("was not evicted if it was deleted deliberately, here or in another tab", () => {
    const name = newName();
    wasEvicted(name, "1");
    forget(name);
    expect(wasEvicted(name, "2")).toBe(false);
    localStorage.removeItem(keyOf(name));
    // The browser sends this event only to other tabs, so the test sends it itself.
    dispatchEvent(new StorageEvent("storage", { key: keyOf(name), newValue: null }));
    expect(wasEvicted(name, "3")).toBe(false);
    dispatchEvent(new StorageEvent("storage", { key: keyOf(name), newValue: "other" }));
    localStorage.removeItem(keyOf(name));
    expect(wasEvicted(name, "4")).toBe(true);
  });

  test("was evicted if a page saw its eviction, unless a page has opened the new store since", () => {
    const name = newName();
    rememberEvicted(name, "1");
    expect(wasEvicted(name, "2")).toBe(true);
    rememberEvicted(name, "1");
    expect(wasEvicted(name, "2")).toBe(false);
  });

  test("was evicted according to this page's memory if the browser denies local storage", () => {
    const name = newName();
    const { getItem, setItem } = Storage.prototype;
    const denied = (): never => {
      throw new DOMException("denied", "SecurityError");
    };
    Storage.prototype.getItem = denied;
    Storage.prototype.setItem = denied;
    try {
      expect(wasEvicted(name, "1")).toBe(false);
      rememberEvicted(name, "1");
      expect(wasEvicted(name, "2")).toBe(true);
    } finally {
      Object.assign(Storage.prototype, { getItem, setItem });
    }
  });
});
