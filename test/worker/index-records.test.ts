import { expect, test } from "vitest";
import type { PackRecord } from "../../src/worker/database.ts";
import { changeRecords } from "../../src/worker/index-records.ts";
import { memoryStore } from "./memory-store.ts";

const record: PackRecord = { pack: "p", storage: "opfs", size: 0, trailer: 0, entries: new Uint8Array(0) };

test("records are counted, and a record that is gone already is not counted again", async () => {
  const { store } = memoryStore();
  const change = (added: string[], removed: string[]): Promise<void> =>
    store.database.write(["packs", "meta"], "relaxed", (transaction) =>
      changeRecords(
        transaction,
        added.map((key) => [key, record]),
        removed,
      ),
    );
  const state = async (): Promise<unknown[]> => [
    await store.count("records"),
    await store.count("generation"),
    await store.database.read("packs", (packs) => packs.getAllKeys()),
  ];
  await change(["a", "b", "c"], []);
  expect(await state()).toEqual([3, 1, ["a", "b", "c"]]);
  await change(["d"], ["a"]);
  expect(await state()).toEqual([3, 2, ["b", "c", "d"]]);
  await change([], ["a", "b"]);
  expect(await state()).toEqual([2, 3, ["c", "d"]]);
});
