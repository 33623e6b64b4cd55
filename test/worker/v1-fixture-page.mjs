/**
 * The part of make-v1-fixtures.mjs that runs in the page. `old` is the code of an earlier commit.
 */
import { InlineHashEngine } from "old/hash/inline-engine.ts";
import { importNar } from "old/store/import.ts";
import { StoreDatabase } from "old/worker/indexeddb.ts";
import { createIndexedDbStore } from "old/worker/indexeddb-store.ts";
import { narOf, V1_LONG, V1_TREES } from "./trees.ts";

export async function makeFixture() {
  const engine = new InlineHashEngine();
  const database = new StoreDatabase("fixture");
  const store = createIndexedDbStore(database, engine);
  let last;
  for (const { name, root } of V1_TREES) {
    const source = async function* () {
      yield* narOf(root);
    };
    last = await importNar(store, engine, source(), { name });
  }
  await store.pathInfos.delete(last.storePath.slice("/nix/store/".length, "/nix/store/".length + 32));
  await database.close();
  return dump("tvix-store-web:fixture");
}

function dump(name) {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open(name);
    opening.onerror = () => reject(opening.error);
    opening.onsuccess = () => {
      const db = opening.result;
      if (db.version !== 1) reject(new Error(`the database is of version ${db.version}`));
      const stores = {};
      const transaction = db.transaction([...db.objectStoreNames], "readonly");
      for (const store of db.objectStoreNames) {
        const keys = transaction.objectStore(store).getAllKeys();
        const values = transaction.objectStore(store).getAll();
        values.onsuccess = () => {
          stores[store] = values.result.map((value, i) => [plain(keys.result[i]), plain(value)]);
        };
      }
      transaction.oncomplete = () => resolve(stores);
      transaction.onabort = () => reject(transaction.error);
    };
  });
}

/** Encodes a value for JSON. */
function plain(value) {
  if (typeof value === "bigint") return { bigint: String(value) };
  if (value instanceof ArrayBuffer) return plain(new Uint8Array(value));
  if (value instanceof Uint8Array) {
    if (value.length > 10_000) return { long: [offsetInLong(value), value.length] };
    return { bytes: btoa(String.fromCharCode(...value)) };
  }
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  return { object: Object.fromEntries(Object.entries(value).map(([key, each]) => [key, plain(each)])) };
}

function offsetInLong(bytes) {
  for (let offset = V1_LONG.indexOf(bytes[0]); offset >= 0; offset = V1_LONG.indexOf(bytes[0], offset + 1)) {
    if (bytes.every((byte, i) => byte === V1_LONG[offset + i])) return offset;
  }
  throw new Error(`${bytes.length} bytes are no piece of the long content`);
}
