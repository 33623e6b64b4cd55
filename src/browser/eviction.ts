/**
 * A browser that gets short of room deletes the databases and files of an origin, all at once and without a word; so does a person who
 * clears a site's data. What is kept here, the id of each store, the first mostly leaves alone: `localStorage` is no part of what
 * Chromium evicts, for one. Clearing takes it too, so a page also remembers what it has opened.
 */

/** Milliseconds in which a browser is through with clearing a site's data. */
const CLEARING_TIME = 1000;

/** Ids of the stores that this page has opened, by name. */
const opened = new Map<string, string>();
let listens = false;

function keyOf(storeName: string): string {
  return `tvix-store-web:${storeName}`;
}

/** Whether a store of this name, but not this one, was opened here before. */
export function wasEvicted(storeName: string, id: string): boolean {
  listen();
  const known = stored(storeName) ?? opened.get(storeName);
  opened.set(storeName, id);
  store(storeName, id);
  return known !== undefined && known !== id;
}

/** The browser has deleted the store while this page had it open: whoever opens it next is told. */
export function rememberEvicted(storeName: string, id: string): void {
  // What is there otherwise is of a page that has opened the new one.
  if (stored(storeName) === undefined) store(storeName, id);
  // Or it is about to be cleared too.
  setTimeout(() => {
    if (opened.get(storeName) === id && stored(storeName) === undefined) store(storeName, id);
  }, CLEARING_TIME);
}

/** The store was deleted on purpose. */
export function forget(storeName: string): void {
  opened.delete(storeName);
  try {
    localStorage.removeItem(keyOf(storeName));
  } catch {
    // Nothing was kept.
  }
}

/** Hears of other pages that delete a store on purpose. */
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
    // Pages may be denied it. Then what this page remembers has to do.
    return undefined;
  }
}

function store(storeName: string, id: string): void {
  try {
    localStorage.setItem(keyOf(storeName), id);
  } catch {
    // See above.
  }
}
