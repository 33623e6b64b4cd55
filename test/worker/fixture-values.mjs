/** Encodes values of a store for a JSON fixture. `revived` of fixture-values.ts decodes them. */
import { V1_LONG } from "./trees.ts";

/** Bytes are given as offset and length in `V1_LONG` if they are longer than this. */
const SHORT = 10_000;

/** Encodes a value for JSON. */
export function plain(value) {
  if (typeof value === "bigint") return { bigint: String(value) };
  if (value instanceof ArrayBuffer) return plain(new Uint8Array(value));
  if (value instanceof Uint8Array) {
    if (value.length > SHORT) return { long: [offsetInLong(value), value.length] };
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

/** Encodes all records of a database. */
export function dump(name, version) {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open(name);
    opening.onerror = () => reject(opening.error);
    opening.onsuccess = () => {
      const db = opening.result;
      if (db.version !== version) reject(new Error(`the database is of version ${db.version}`));
      const stores = {};
      // Packs are encoded by their objects.
      const names = [...db.objectStoreNames].filter((store) => store !== "segments");
      const transaction = db.transaction(names, "readonly");
      for (const store of names) {
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
