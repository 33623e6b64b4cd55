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

describe("a store that is opened", () => {
  test("was not evicted the first time, nor as long as it is the same", () => {
    const name = newName();
    expect(wasEvicted(name, "1")).toBe(false);
    expect(wasEvicted(name, "1")).toBe(false);
    expect(wasEvicted(newName(), "2")).toBe(false);
  });

  test("was evicted if it was another one before, which is told once", () => {
    const name = newName();
    // By an earlier visit.
    localStorage.setItem(keyOf(name), "1");
    expect(wasEvicted(name, "2")).toBe(true);
    expect(wasEvicted(name, "2")).toBe(false);
  });

  test("was evicted if this page had opened another one, though local storage was cleared", () => {
    const name = newName();
    wasEvicted(name, "1");
    localStorage.removeItem(keyOf(name));
    expect(wasEvicted(name, "2")).toBe(true);
  });

  test("was not evicted if it was deleted on purpose, here or in another tab", () => {
    const name = newName();
    wasEvicted(name, "1");
    forget(name);
    expect(wasEvicted(name, "2")).toBe(false);
    localStorage.removeItem(keyOf(name));
    // Only other tabs are told by the browser.
    dispatchEvent(new StorageEvent("storage", { key: keyOf(name), newValue: null }));
    expect(wasEvicted(name, "3")).toBe(false);
    dispatchEvent(new StorageEvent("storage", { key: keyOf(name), newValue: "other" }));
    localStorage.removeItem(keyOf(name));
    expect(wasEvicted(name, "4")).toBe(true);
  });

  test("was evicted if a page saw that happen, unless another page has opened the new one since", () => {
    const name = newName();
    rememberEvicted(name, "1");
    expect(wasEvicted(name, "2")).toBe(true);
    rememberEvicted(name, "1");
    expect(wasEvicted(name, "2")).toBe(false);
  });

  test("is told by this page's memory where local storage is denied", () => {
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
