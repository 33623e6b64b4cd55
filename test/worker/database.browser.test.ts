import { afterEach, expect, test } from "vitest";
import { StoreError } from "../../src/error.ts";
import { increment, StoreDatabase } from "../../src/worker/database.ts";

const opened: StoreDatabase[] = [];
afterEach(async () => {
  for (const database of opened.splice(0)) await database.close();
});

function openDatabase(): StoreDatabase {
  const database = new StoreDatabase(crypto.randomUUID());
  opened.push(database);
  return database;
}

const roots = (database: StoreDatabase): Promise<unknown> => database.read("meta", (meta) => meta.get("roots"));

test("a transaction whose work fails leaves nothing, and rejects with the error", async () => {
  const database = openDatabase();
  const problem = new Error("the work failed");
  const writing = database.write(["meta"], "strict", async (transaction) => {
    await transaction.objectStore("meta").put(7, "roots");
    throw problem;
  });
  await expect(writing).rejects.toBe(problem);
  expect(await roots(database)).toBeUndefined();
  const invalid = database.write(["meta"], "strict", async (transaction) => {
    await transaction.objectStore("meta").put(7, "roots");
    await transaction.objectStore("meta").put((() => {}) as never, "generation");
  });
  await expect(invalid).rejects.toMatchObject({ code: "unavailable", cause: { name: "DataCloneError" } });
  expect(await roots(database)).toBeUndefined();
});

test("the error of an aborted transaction takes precedence over the error of the work", async () => {
  const database = openDatabase();
  await database.write(["meta"], "strict", (transaction) => transaction.objectStore("meta").add("twice", "adopted"));
  const writing = database.write(["meta"], "strict", async (transaction) => {
    const aborted = new Promise((resolve) => transaction.addEventListener("abort", resolve));
    // The failed request aborts the transaction.
    await transaction
      .objectStore("meta")
      .add("twice", "adopted")
      .catch(() => {});
    await aborted;
    throw new StoreError("invalid", "an error that comes of the first one");
  });
  await expect(writing).rejects.toMatchObject({ code: "unavailable", cause: { name: "ConstraintError" } });
});

test("a counter begins at 1, and grows by 1 with each transaction that is complete", async () => {
  const database = openDatabase();
  const add = (): Promise<number> => database.write(["meta"], "relaxed", (transaction) => increment(transaction, "roots"));
  expect(await Promise.all([add(), add(), add()])).toEqual([1, 2, 3]);
  // Other code of this origin may have written the record.
  await database.write(["meta"], "relaxed", (transaction) => transaction.objectStore("meta").put("seven", "roots"));
  expect(await add()).toBe(1);
  expect(await roots(database)).toBe(1);
});

test("a new database has an id, and no object stores of version 1", async () => {
  const database = openDatabase();
  expect(await database.read("meta", (meta) => meta.get("id"))).toMatch(/^[0-9a-f-]{36}$/);
  expect(await database.legacyStores()).toEqual([]);
  expect(await database.snapshot(["meta", "packs"], (transaction) => transaction.objectStore("packs").count())).toBe(0);
});

test("a closed database waits for its transactions, and then refuses further ones", async () => {
  const database = openDatabase();
  const writing = database.write(["meta"], "strict", (transaction) => increment(transaction, "roots"));
  // The connection has to be open: `close` does not wait for one that is not.
  await roots(database);
  await database.close();
  expect(await writing).toBe(1);
  expect(database.ended.reason).toMatchObject({ code: "closed" });
  expect(database.isEvicted).toBe(false);
  await expect(roots(database)).rejects.toBe(database.ended.reason);
  await expect(database.write(["meta"], "strict", async () => {})).rejects.toBe(database.ended.reason);
});
