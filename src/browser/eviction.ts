/**
 * A browser that gets short of room throws away the databases and files of an origin, all at once and without a word. What is kept
 * here, the id of the store, it mostly leaves alone: `localStorage` is no part of what is evicted in Chromium, for one.
 */

function keyOf(storeName: string): string {
  return `tvix-store-web:${storeName}`;
}

/** Whether a store of this name, but not this one, was opened here before. */
export function wasEvicted(storeName: string, id: string): boolean {
  try {
    const known = localStorage.getItem(keyOf(storeName));
    localStorage.setItem(keyOf(storeName), id);
    return known !== null && known !== id;
  } catch {
    // Pages may be denied it. Then nothing can be told.
    return false;
  }
}

/** The store was deleted on purpose. */
export function forget(storeName: string): void {
  try {
    localStorage.removeItem(keyOf(storeName));
  } catch {
    // Nothing was kept.
  }
}
