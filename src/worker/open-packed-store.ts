import { deleteDB } from "idb";
import { StoreError } from "../error.ts";
import { databaseName, StoreDatabase } from "./database.ts";
import { IndexedDbPacks } from "./indexeddb-packs.ts";
import { packLegacyObjects } from "./legacy-objects.ts";
import { OpfsPacks, removeOpfsPacks } from "./opfs-packs.ts";
import { PackedStore } from "./packed-store.ts";
import { storageError } from "./storage-error.ts";
import { StoreLocks } from "./store-locks.ts";

/** Opens the store of this name and origin, or makes an empty one. @throws StoreError `unavailable` if `opfs` was asked for and isn't there */
export async function openPackedStore(name: string, storage: "auto" | "opfs" | "indexeddb"): Promise<PackedStore> {
  const database = new StoreDatabase(name);
  try {
    // Also if it isn't where new packs go: older ones may be there.
    const [opfs] = await Promise.all([OpfsPacks.open(name), database.read("meta", (store) => store.get("id"))]);
    if (storage === "opfs" && !opfs?.isWritable)
      throw new StoreError("unavailable", "this browser has no OPFS, or not in this mode");
    const packs = { indexeddb: new IndexedDbPacks(database), opfs };
    const target = storage === "indexeddb" || !opfs?.isWritable ? "indexeddb" : "opfs";
    const store = new PackedStore(database, new StoreLocks(name), packs, target);
    await store.refresh();
    await packLegacyObjects(store);
    // What a killed tab left.
    store.sweep().catch(() => {});
    return store;
  } catch (error) {
    await database.close();
    throw error;
  }
}

/** @throws StoreError `unavailable` if something of it can't be deleted */
export async function deletePackedStore(name: string): Promise<void> {
  try {
    await deleteDB(databaseName(name));
    await removeOpfsPacks(name);
  } catch (error) {
    throw storageError(error, `the store ${name}`);
  }
}
