import { afterEach, expect, test, vi } from "vitest";
import { pathInfoRecords } from "../../src/worker/path-info-records.ts";
import { MemoryDatabase, MemoryKeyRange } from "./memory-database.ts";

afterEach(() => void vi.unstubAllGlobals());

async function database(count: number): Promise<MemoryDatabase> {
  vi.stubGlobal("IDBKeyRange", MemoryKeyRange);
  const database = new MemoryDatabase();
  for (let i = 0; i < count; i++) await database.put("pathInfos", String(i).padStart(4, "0"), i);
  return database;
}

test.each([
  [0, 1],
  [255, 1],
  [256, 2],
  [257, 2],
  [512, 3],
])("%i path infos are read in order, in %i transactions", async (count, transactions) => {
  const memory = await database(count);
  const found: unknown[] = [];
  for await (const { hashPart, info } of pathInfoRecords(memory.asDatabase)) found.push([hashPart, info]);
  expect(found).toEqual(Array.from({ length: count }, (_, i) => [String(i).padStart(4, "0"), i]));
  expect(memory.transactions).toHaveLength(transactions);
});

test("path infos that are added behind the reader's place are found, and those before it are not", async () => {
  const memory = await database(256);
  const found: string[] = [];
  for await (const { hashPart } of pathInfoRecords(memory.asDatabase)) {
    if (found.length === 0) for (const key of ["0000a", "9999"]) await memory.put("pathInfos", key, 0);
    found.push(hashPart);
  }
  expect(found).toHaveLength(257);
  expect(found.at(-1)).toBe("9999");
});

test("an abort ends the list before the next batch", async () => {
  const memory = await database(300);
  const controller = new AbortController();
  const found: string[] = [];
  const listing = (async () => {
    for await (const { hashPart } of pathInfoRecords(memory.asDatabase, controller.signal)) {
      controller.abort("enough");
      found.push(hashPart);
    }
  })();
  await expect(listing).rejects.toBe("enough");
  expect(found).toHaveLength(256);
});
