import { databaseName, opfsDirectory, STORES_DIRECTORY } from "../thread/store-places.ts";
import { untilAborted } from "../until-aborted.ts";
import { isSilent, pause } from "./silence.ts";

/** Milliseconds between questions to the worker; and without an answer, after which the page looks by itself. */
const PING_STEP = 5000;
const PATIENCE_STEP = 500;
const PATIENCE_STEPS = 6;
/** Milliseconds for an answer of the browser. */
const ANSWER_TIME = 2000;

/** What is gone: the database, and with it the store; or only the files of its packs. */
export type ClearedStorage = "database" | "files";

/**
 * Calls `onCleared` once when the storage of a store was cleared and its worker gives no answer. A worker finds that out by itself, as long
 * as it can: Chromium (156) blocks a thread for ever that closes a file at the moment in which it is cleared.
 *
 * @param ping resolves when the worker has answered
 * @returns ends the watch
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

/** `undefined` if all is there, or the browser does not tell. */
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
