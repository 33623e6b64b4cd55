/**
 * Detects that the browser deleted a store. A browser that is short of space deletes all databases
 * and files of an origin without notice. A user who clears the site's data does the same.
 *
 * This module keeps the id of each store in `localStorage`, which eviction mostly spares: Chromium,
 * for example, does not evict it. But clearing the site's data deletes it too, so the page also
 * remembers the stores that it has opened.
 */

/** Milliseconds after which a browser has finished clearing a site's data. */
const CLEARING_TIME = 1000;

/** Ids of the stores that this page has opened, by name. */
const opened = new Map<string, string>();
let listens = false;

function keyOf(storeName: string): string {
  return `tvix-store-web:${storeName}`;
}

/**
 * Whether another store of this name was opened here before: the browser has then deleted that one.
 * Remembers `id` as the current store.
 */
export function wasEvicted(storeName: string, id: string): boolean {
  listen();
  const known = stored(storeName) ?? opened.get(storeName);
  opened.set(storeName, id);
  store(storeName, id);
  return known !== undefined && known !== id;
}

/**
 * Records that the browser deleted the store while this page had it open. The next page that opens
 * the store then reports the loss.
 */
export function rememberEvicted(storeName: string, id: string): void {
  // Another id belongs to a page that has already opened the new store, so it stays.
  if (stored(storeName) === undefined) store(storeName, id);
  // The browser may be about to clear `localStorage` too, so the id is stored again later.
  setTimeout(() => {
    if (opened.get(storeName) === id && stored(storeName) === undefined) store(storeName, id);
  }, CLEARING_TIME);
}

/** Forgets a store that was deleted on purpose. */
export function forget(storeName: string): void {
  opened.delete(storeName);
  try {
    localStorage.removeItem(keyOf(storeName));
  } catch {
    // `localStorage` is not accessible, so it contains no id.
  }
}

/** Listens for other pages that delete a store on purpose. */
function listen(): void {
  if (listens || typeof addEventListener !== "function") return;
  listens = true;
  addEventListener("storage", ({ key, newValue }: StorageEvent) => {
    if (newValue !== null) return;
    for (const name of opened.keys()) if (keyOf(name) === key) opened.delete(name);
  });
}

function stored(storeName: string): string | undefined {
  try {
    return localStorage.getItem(keyOf(storeName)) ?? undefined;
  } catch {
    // The browser may deny access to `localStorage`. Then only the memory of this page counts.
    return undefined;
  }
}

function store(storeName: string, id: string): void {
  try {
    localStorage.setItem(keyOf(storeName), id);
  } catch {
    // `localStorage` is not accessible: see `stored`.
  }
}
