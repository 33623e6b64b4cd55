/** Where a store lies in the storage of its origin (docs/storage.md). */

/** The name of its IndexedDB database. */
export function databaseName(storeName: string): string {
  return `tvix-store-web:${storeName}`;
}

/** The directory, in the origin private file system, that has one for each store. */
export const STORES_DIRECTORY = "tvix-store-web";

/** The name of its directory there, for stores of any name: what file systems could refuse, or take for something else, is escaped. */
export function opfsDirectory(storeName: string): string {
  return encodeURIComponent(storeName).replace(/[.*'()!~]/g, (char) => `%${char.charCodeAt(0).toString(16)}`);
}
