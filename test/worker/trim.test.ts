import { describe, expect, test } from "vitest";
import type { PackRecord } from "../../src/worker/database.ts";
import { readEntries } from "../../src/worker/pack-entries.ts";
import type { IndexRecord } from "../../src/worker/packed-index.ts";
import { Trim } from "../../src/worker/trim.ts";
import { CHUNK, damage, dropRecord, entryOf, has, type MemoryStore, memoryStore, putPack, text } from "./memory-store.ts";

const [A, B, C, D] = [text("a"), text("bb"), text("ccc"), text("dddd")];

/** Trims these records, so that only the entries of these objects stay, and loads the result. */
async function trim(world: MemoryStore, records: readonly IndexRecord[], kept: readonly (typeof A)[]): Promise<Trim> {
  const entries = new Set(kept.map((object) => entryOf(world, object)));
  const trim = new Trim(world.store, records, (entry) => entries.has(entry));
  await world.database.asDatabase.write(["packs", "meta"], "strict", (transaction) => trim.write(transaction));
  await world.store.refresh();
  return trim;
}

/** Lengths of the objects of each record in the database. */
function lengths({ database }: MemoryStore): number[][] {
  return database.rows("packs").map(([, record]) => {
    const found: number[] = [];
    readEntries("a record", record as PackRecord, (_digest, _kind, _offset, length) => found.push(length));
    return found;
  });
}

describe("a trimmed record", () => {
  test("loses the other objects, and keeps its pack under a new key", async () => {
    const world = memoryStore();
    const record = await putPack(world, [A, B, C]);
    const { objects, bytes } = await trim(world, [record], [A, C]);
    expect({ objects, bytes }).toEqual({ objects: 1, bytes: 2 });
    expect([A, B, C].map((object) => has(world, object))).toEqual([true, false, true]);
    const [trimmed, ...others] = [...world.store.records];
    expect(others).toEqual([]);
    const { pack, storage, size, trailer } = record;
    expect(trimmed).toMatchObject({ pack, storage, size, trailer, count: 2, bytes: 4 });
    expect(trimmed?.key).not.toBe(record.key);
    expect(await world.store.read(CHUNK, [A.digest, C.digest])).toEqual([A.bytes, C.bytes]);
    expect(world.store.isIndexDamaged).toBe(false);
  });

  test("that loses all objects is removed", async () => {
    const world = memoryStore();
    const record = await putPack(world, [A, B]);
    const { objects, bytes } = await trim(world, [record], []);
    expect({ objects, bytes }).toEqual({ objects: 2, bytes: 3 });
    expect([...world.store.records]).toEqual([]);
    expect(await world.store.count("records")).toBe(0);
  });
});

describe("a record stays as it is", () => {
  test("if it loses nothing, or could not be read completely, or is not to be trimmed", async () => {
    const world = memoryStore();
    const [whole, damaged, other] = [await putPack(world, [A]), await putPack(world, [B]), await putPack(world, [C])];
    damaged.damaged = true;
    const before = world.database.rows("packs");
    const { objects, bytes } = await trim(world, [whole, damaged], [A]);
    expect({ objects, bytes }).toEqual({ objects: 0, bytes: 0 });
    expect(world.database.rows("packs")).toEqual(before);
    expect([...world.store.records]).toEqual([whole, damaged, other]);
  });
});

test("several records are trimmed together; dead records don't count", async () => {
  const world = memoryStore();
  await dropRecord(world, await putPack(world, [A, B]));
  const [first, second] = [await putPack(world, [A, B]), await putPack(world, [C, D])];
  // Trimming reads no pack.
  damage(world, CHUNK, A.digest);
  const { objects, bytes } = await trim(world, [first, second], [B, D]);
  expect({ objects, bytes }).toEqual({ objects: 2, bytes: 4 });
  expect(lengths(world).sort()).toEqual([[2], [4]]);
  expect(world.opfs.reads).toBe(0);
  // One transaction changes the generation once.
  expect(await world.store.count("generation")).toBe(5);
});
