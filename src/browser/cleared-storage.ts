import { pause } from "../pause.ts";
import { databaseName, opfsDirectory, STORES_DIRECTORY } from "../thread/store-places.ts";
import { untilAborted } from "../until-aborted.ts";
import { isSilent } from "./silence.ts";

/**
 * Milliseconds between pings to the worker; and the length in milliseconds, and number, of the
 * waits for an answer. If none comes, the page looks for the storage itself.
 */
const PING_STEP = 5000;
const PATIENCE_STEP = 500;
const PATIENCE_STEPS = 6;
/** Milliseconds that the browser has to answer a query. */
const ANSWER_TIME = 2000;

/**
 * The storage that was deleted: `database`, the database and with it the store; or `files`, only
 * the files of its packs.
 */
export type ClearedStorage = "database" | "files";

/**
 * Calls `onCleared` once if a store's storage was cleared and its worker does not answer. Normally,
 * the worker notices this itself. But a thread of Chromium (156) blocks forever if it closes a file
 * at the moment when the file is cleared.
 *
 * @param ping resolves when the worker has answered
 * @returns a function that ends the watch
 */
export function watchCleared(
  store: { readonly name: string; readonly storage: "opfs" | "indexeddb" },
  ping: () => Promise<unknown>,
  onCleared: (what: ClearedStorage) => void,
): () => void {
  const ended = new AbortController();
  const watch = async (): Promise<void> => {
    for (;;) {
      await pause(PING_STEP, ended.signal);
      if (!(await isSilent(ping, PATIENCE_STEP, PATIENCE_STEPS, ended.signal))) continue;
      const what = await clearedStorage(store);
      ended.signal.throwIfAborted();
      if (what) {
        onCleared(what);
        return;
      }
    }
  };
  watch().catch(() => {
    // The watch was ended.
  });
  return () => ended.abort();
}

/**
 * Looks for the storage of a store.
 *
 * @returns the storage that is gone; `undefined` if nothing is gone, or if the browser does not
 *   answer
 */
async function clearedStorage({
  name,
  storage,
}: {
  readonly name: string;
  readonly storage: "opfs" | "indexeddb";
}): Promise<ClearedStorage | undefined> {
  try {
    const databases = await untilAborted(indexedDB.databases(), AbortSignal.timeout(ANSWER_TIME));
    if (!databases.some((database) => database.name === databaseName(name) && database.version)) return "database";
    if (storage !== "opfs") return undefined;
    await untilAborted(openDirectory(name), AbortSignal.timeout(ANSWER_TIME));
    return undefined;
  } catch (error) {
    return error instanceof DOMException && error.name === "NotFoundError" ? "files" : undefined;
  }
}

async function openDirectory(name: string): Promise<unknown> {
  const all = await (await navigator.storage.getDirectory()).getDirectoryHandle(STORES_DIRECTORY);
  return all.getDirectoryHandle(opfsDirectory(name));
}
