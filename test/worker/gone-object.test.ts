import { expect, test } from "vitest";
import { readGone } from "../../src/worker/gone-object.ts";
import { CHUNK, DIRECTORY, dropRecord, failure, memoryStore, putPack, text } from "./memory-store.ts";

const A = text("a");

test("an object is read from the first dropped pack that still has it", async () => {
  const world = memoryStore();
  const packs = [await putPack(world, [A]), await putPack(world, [A]), await putPack(world, [A])];
  for (const record of packs) await dropRecord(world, record);
  world.opfs.files.delete(packs[0]?.pack ?? "");
  world.opfs.inUse.add(packs[1]?.pack ?? "");
  expect(await readGone(world.store, CHUNK, A.digest)).toEqual(A.bytes);
  expect(world.opfs.reads).toBe(3);
});

test("an object of another kind, or whose packs are all gone, is a conflict", async () => {
  const world = memoryStore();
  const { pack } = await putPack(world, [A]);
  expect(await failure(readGone(world.store, DIRECTORY, A.digest))).toBe("conflict");
  expect(world.opfs.reads).toBe(0);
  world.opfs.files.delete(pack);
  expect(await failure(readGone(world.store, CHUNK, A.digest))).toBe("conflict");
});

test("an object of no bytes is an object", async () => {
  const world = memoryStore();
  const empty = text("");
  await dropRecord(world, await putPack(world, [empty]));
  expect(await readGone(world.store, CHUNK, empty.digest)).toEqual(new Uint8Array());
});
