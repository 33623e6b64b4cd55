import { opfsDirectory, STORES_DIRECTORY } from "../thread/store-places.ts";

/**
 * Milliseconds that other tabs get to close their files when a store is deleted, and the interval
 * between two attempts.
 */
const CLOSING_TIME = 3000;
const CLOSING_STEP = 100;

/** Opens the directory of a store's packs, and creates it if it does not exist. */
export async function makeDirectory(storeName: string): Promise<FileSystemDirectoryHandle> {
  const root = await navigator.storage.getDirectory();
  const all = await root.getDirectoryHandle(STORES_DIRECTORY, { create: true });
  return all.getDirectoryHandle(opfsDirectory(storeName), { create: true });
}

/**
 * Removes all files of a store of this name. Does nothing if the store has no files or there is no
 * OPFS.
 */
export async function removeOpfsPacks(storeName: string): Promise<void> {
  try {
    const root = await navigator.storage?.getDirectory?.();
    const all = await root?.getDirectoryHandle(STORES_DIRECTORY);
    for (let waited = 0; ; waited += CLOSING_STEP) {
      try {
        await all?.removeEntry(opfsDirectory(storeName), { recursive: true });
        return;
      } catch (error) {
        const isOpen = error instanceof DOMException && error.name === "NoModificationAllowedError";
        if (!isOpen || waited >= CLOSING_TIME) throw error;
        await new Promise((resolve) => setTimeout(resolve, CLOSING_STEP));
      }
    }
  } catch (error) {
    // Modes without OPFS reject every access with a SecurityError.
    if (!(error instanceof DOMException) || (error.name !== "NotFoundError" && error.name !== "SecurityError")) throw error;
  }
}
