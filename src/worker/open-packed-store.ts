import { deleteDB } from "idb";
import { StoreError } from "../error.ts";
import type { OperationOptions } from "../progress.ts";
import { acquiring } from "../resource-stack.ts";
import { databaseName } from "../thread/store-places.ts";
import { untilAborted } from "../until-aborted.ts";
import { StoreDatabase } from "./database.ts";
import type { Waiting } from "./database-connection.ts";
import { IndexedDbPacks } from "./indexeddb-packs.ts";
import { packLegacyObjects } from "./legacy-objects.ts";
import { removeOpfsPacks } from "./opfs-directory.ts";
import { OpfsPacks } from "./opfs-packs.ts";
import { PackedStore } from "./packed-store.ts";
import { storageError } from "./storage-error.ts";
import { StoreLocks } from "./store-locks.ts";

/**
 * Opens the store of this name and origin, or creates an empty one. Reports a phase of `Waiting` as
 * progress while the database can't be opened, and `upgrading`, in objects, for a store of version
 * 1.
 *
 * @throws StoreError `unavailable` if `storage` is `opfs` and this browser offers no OPFS
 */
export async function openPackedStore(
  name: string,
  storage: "auto" | "opfs" | "indexeddb",
  options: OperationOptions = {},
): Promise<PackedStore> {
  const { signal } = options;
  let isOpen = false;
  return acquiring(async (acquired) => {
    const database = acquired.use(
      new StoreDatabase(name, (phase) => {
        // After the store is open, nobody listens to this progress any more.
        if (!isOpen) options.onProgress?.({ phase, unit: "none", loaded: 0 });
      }),
    );
    const id = database.read("meta", (store) => store.get("id"));
    // Open OPFS even if new packs go elsewhere: older packs may be there.
    const [opfs] = await untilAborted(Promise.all([OpfsPacks.open(name), id]), signal);
    if (storage === "opfs" && !opfs?.isWritable)
      throw new StoreError(
        "unavailable",
        "this browser offers no OPFS, or not in this mode; open the store with another `storage`",
      );
    const packs = { indexeddb: new IndexedDbPacks(database), opfs };
    const target = storage === "indexeddb" || !opfs?.isWritable ? "indexeddb" : "opfs";
    const store = new PackedStore(database, new StoreLocks(name), packs, target);
    await store.refresh();
    await packLegacyObjects(store, options);
    signal?.throwIfAborted();
    isOpen = true;
    // Delete the packs that a killed tab left.
    store.sweep().catch(() => {});
    return store;
  });
}

/**
 * Deletes the store of this name and origin.
 *
 * @param onWaiting called while the database can't be deleted yet
 * @throws StoreError `unavailable` if a part of the store can't be deleted
 */
export async function deletePackedStore(name: string, onWaiting?: (what: Waiting) => void): Promise<void> {
  try {
    await deleteDB(databaseName(name), { blocked: () => onWaiting?.("waiting for another tab") });
    await removeOpfsPacks(name);
  } catch (error) {
    throw storageError(error, `the store ${name}`);
  }
}
