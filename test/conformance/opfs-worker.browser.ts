/** Packs in OPFS for tests in a page, which has no synchronous access to files itself. */

import { expose, proxy } from "comlink";
import { OpfsPacks } from "../../src/worker/opfs-packs.ts";
import type { PackRange } from "../../src/worker/pack-store.ts";

const opened = new Map<string, Promise<OpfsPacks | undefined>>();

async function packs(store: string): Promise<OpfsPacks> {
  let found = opened.get(store);
  if (!found) {
    found = OpfsPacks.open(store);
    opened.set(store, found);
  }
  const opfs = await found;
  if (!opfs) throw new Error("this browser has no OPFS");
  return opfs;
}

const api = {
  available: async (store: string): Promise<boolean> => (await OpfsPacks.open(store)) !== undefined,
  create: async (store: string, id: string) => proxy(await (await packs(store)).create(id)),
  read: async (store: string, id: string, ranges: readonly PackRange[]) => (await packs(store)).read(id, ranges),
  list: async (store: string) => (await packs(store)).list(),
  delete: async (store: string, id: string) => (await packs(store)).delete(id),
  release: async (store: string, id?: string) => (await packs(store)).release(id),
};

export type OpfsApi = typeof api;

expose(api);
postMessage("ready");
