import { describe, expect, test } from "vitest";
import { countLostPacks, ownIds, sparePacks } from "../../src/worker/spare-packs.ts";
import { type MemoryStore, makePack, memoryStore, type PutOptions, putPack, text } from "./memory-store.ts";

const A = text("a");

/** Adds a pack without an index record. */
async function spare(world: MemoryStore, id: string, options: PutOptions = {}): Promise<Uint8Array> {
  const { bytes } = await makePack(world, [A], options);
  world[options.storage ?? "opfs"].files.set(id, bytes);
  return bytes;
}

async function states({ store }: MemoryStore): Promise<string[]> {
  const found: string[] = [];
  for await (const { id, storage, state } of sparePacks(store)) found.push(`${id} in ${storage}: ${state}`);
  return found;
}

describe("a pack without a record", () => {
  test("is garbage if this store or one that it has adopted wrote it; otherwise it is lost", async () => {
    const world = memoryStore();
    await putPack(world, [A], { id: "used" });
    await spare(world, "own");
    await spare(world, "adopted", { by: "adopted store" });
    await spare(world, "foreign", { by: "lost store" });
    await spare(world, "in the database", { by: "lost store", storage: "indexeddb" });
    await world.database.put("meta", "adopted", ["adopted store"]);
    expect(await states(world)).toEqual([
      "in the database in indexeddb: lost",
      "own in opfs: garbage",
      "adopted in opfs: garbage",
      "foreign in opfs: lost",
    ]);
    expect(await countLostPacks(world.store)).toBe(2);
    // Nobody could delete a pack that is open for reading.
    expect(world.opfs.released).toEqual(expect.arrayContaining(["own", "adopted", "foreign"]));
    expect(world.opfs.released).not.toContain("used");
  });

  test("is lost if records of this store are lost, no matter which store wrote it", async () => {
    const world = memoryStore();
    (await putPack(world, [A])).damaged = true;
    await spare(world, "own");
    expect(await states(world)).toEqual(["own in opfs: lost"]);
  });

  test("is garbage if it is not complete, or has no header", async () => {
    const world = memoryStore();
    const bytes = await spare(world, "foreign", { by: "lost store" });
    world.opfs.files.set("torn", bytes.subarray(0, -1));
    world.opfs.files.set("short", bytes.subarray(0, 127));
    world.opfs.files.set("without header", new Uint8Array(bytes).fill(0, 0, 8));
    const damaged = bytes.slice();
    damaged[65] = 1;
    world.opfs.files.set("damaged entries", damaged);
    expect(await states(world)).toEqual([
      "foreign in opfs: lost",
      "torn in opfs: garbage",
      "short in opfs: garbage",
      "without header in opfs: garbage",
      "damaged entries in opfs: garbage",
    ]);
  });

  test("is in use if it can't be read now; other errors are passed on", async () => {
    const world = memoryStore();
    await spare(world, "open", { by: "lost store" });
    world.opfs.inUse.add("open");
    expect(await states(world)).toEqual(["open in opfs: in use"]);
    const problem = new Error("a bug");
    world.opfs.size = () => Promise.reject(problem);
    await expect(states(world)).rejects.toBe(problem);
  });
});

test("a store without spare packs does not read its id", async () => {
  const world = memoryStore();
  await putPack(world, [A]);
  world.database.transactions.length = 0;
  const fresh = memoryStore("opfs", { ...world, opfs: undefined as never });
  expect(await states(fresh)).toEqual([]);
  expect(world.database.transactions).toEqual([]);
});

test("the own ids are that of the store and those of the stores that it has adopted", async () => {
  const world = memoryStore();
  const id = await world.store.id();
  expect(await ownIds(world.store)).toEqual(new Set([id]));
  await world.database.put("meta", "adopted", ["x", "y"]);
  expect(await ownIds(world.store)).toEqual(new Set([id, "x", "y"]));
  // Other code of this origin may have changed the record.
  await world.database.put("meta", "adopted", 7);
  expect(await ownIds(world.store)).toEqual(new Set([id]));
});
