/** Packs in OPFS for tests in a page, which itself has no synchronous access to files. */

import { expose, proxy } from "comlink";
import type { ByteRange } from "../../src/byte-range.ts";
import { FLUSHER_NAME, serveFlushes } from "../../src/worker/flusher.ts";
import { OpfsPacks } from "../../src/worker/opfs-packs.ts";
import { PackGone } from "../../src/worker/storage-error.ts";

const opened: OpfsPacks[] = [];

function packs(number: number): OpfsPacks {
  const found = opened[number];
  if (!found) throw new Error("these packs were not opened");
  return found;
}

/**
 * Returns `gone` if the pack is gone, because the class of an error doesn't survive the transfer to
 * the page.
 */
async function orGone<T>(work: () => Promise<T>): Promise<T | { gone: string }> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof PackGone) return { gone: error.message };
    throw error;
  }
}

const api = {
  available: async (store: string): Promise<boolean> => (await OpfsPacks.open(store)) !== undefined,
  /**
   * Opens the packs of a store with their own handles.
   *
   * @returns the number that identifies them in the other calls
   */
  open: async (store: string): Promise<number> => {
    const opfs = await OpfsPacks.open(store);
    if (!opfs) throw new Error("this browser has no OPFS");
    return opened.push(opfs) - 1;
  },
  create: async (number: number, id: string) => proxy(await packs(number).create(id)),
  read: (number: number, id: string, ranges: readonly ByteRange[]) => orGone(() => packs(number).read(id, ranges)),
  size: (number: number, id: string) => orGone(() => packs(number).size(id)),
  list: async (number: number) => packs(number).list(),
  missing: async (number: number, ids: readonly string[]) => packs(number).missing(ids),
  delete: async (number: number, id: string) => packs(number).delete(id),
  release: async (number: number, id: string) => packs(number).release(id),
  close: async (number: number) => packs(number).close(),
};

export type OpfsApi = typeof api;

// The flusher runs this script too, under its own name.
if (self.name === FLUSHER_NAME) {
  serveFlushes({
    set onmessage(listener: ((event: MessageEvent) => void) | null) {
      self.onmessage = listener;
    },
    postMessage: (message) => self.postMessage(message),
  });
} else {
  expose(api);
  self.postMessage("ready");
}
