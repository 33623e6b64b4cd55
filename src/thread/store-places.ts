/** Where a store is in the storage of its origin (docs/storage.md). */

/** Name of the store's IndexedDB database. */
export function databaseName(storeName: string): string {
  return `tvix-store-web:${storeName}`;
}

/** Directory in the origin private file system that has a subdirectory for each store. */
export const STORES_DIRECTORY = "tvix-store-web";

/**
 * Name of the store's subdirectory. Characters that a file system could refuse or interpret are
 * escaped, so any store name works.
 */
export function opfsDirectory(storeName: string): string {
  return encodeURIComponent(storeName).replace(/[.*'()!~]/g, (char) => `%${char.charCodeAt(0).toString(16)}`);
}
