import { describe, expect, test } from "vitest";
import { encodePathInfo } from "../../src/wire/stored-messages.ts";
import { FOOTER_LENGTH, HEADER_LENGTH } from "../../src/worker/pack-format.ts";
import { describePack, pathInfosOf, readHeader, readTrailer } from "../../src/worker/pack-trailer.ts";
import { MemoryPacks } from "./memory-packs.ts";
import { failure, makePack, memoryStore, pathInfo, symlink, text } from "./memory-store.ts";

const INFO = pathInfo("a", symlink);

/** Packs with one pack, `id`. */
async function packsWith(change: (bytes: Uint8Array) => Uint8Array = (bytes) => bytes, pathInfos = [INFO]): Promise<MemoryPacks> {
  const { bytes } = await makePack(memoryStore(), [text("a"), text("bb")], { by: "some store", created: 7, pathInfos });
  const packs = new MemoryPacks();
  packs.files.set("id", change(bytes));
  return packs;
}

test("a pack describes itself", async () => {
  const packs = await packsWith();
  const size = await packs.size("id");
  const described = await describePack(packs, "id");
  expect(described).toMatchObject({ size, header: { store: "some store", created: 7 } });
  expect(described?.trailer.length).toBe(size - HEADER_LENGTH - 3);
  expect(described?.trailer.entries).toHaveLength(80);
  expect(described?.trailer.pathInfos).toEqual([encodePathInfo(INFO)]);
  // Header, footer and trailer.
  expect(packs.reads).toBe(3);
});

describe("a pack has no header if", () => {
  test.each<[string, (bytes: Uint8Array) => Uint8Array]>([
    ["it is too short for header and footer", (bytes) => bytes.slice(0, HEADER_LENGTH + FOOTER_LENGTH - 1)],
    ["it begins with something else, as packs of version 2 do", (bytes) => bytes.map((byte, i) => (i === 0 ? 0 : byte))],
    ["it is empty", () => new Uint8Array()],
  ])("%s", async (_, change) => {
    const packs = await packsWith(change);
    expect(await readHeader(packs, "id")).toBeUndefined();
    expect(await describePack(packs, "id")).toBeUndefined();
  });
});

describe("a trailer is torn if", () => {
  test.each<[string, (bytes: Uint8Array) => Uint8Array]>([
    ["the pack lacks its last byte", (bytes) => bytes.slice(0, -1)],
    ["only header and something else are there", (bytes) => bytes.slice(0, HEADER_LENGTH + FOOTER_LENGTH)],
    ["an entry is damaged", (bytes) => bytes.map((byte, i) => (i === HEADER_LENGTH + 3 ? byte ^ 1 : byte))],
  ])("%s", async (_, change) => {
    const packs = await packsWith(change);
    expect(await failure(describePack(packs, "id"))).toBe("corrupt");
    const start = await readHeader(packs, "id");
    expect(start && (await failure(readTrailer(packs, "id", start)))).toBe("corrupt");
  });
});

test("a pack that is missing is corrupt", async () => {
  expect(await failure(describePack(new MemoryPacks(), "none"))).toBe("corrupt");
});

describe("the path infos of a pack", () => {
  const read = (packs: MemoryPacks, size: number): Promise<Uint8Array[]> => pathInfosOf(packs, { pack: "id", size });

  test("are read without its entries", async () => {
    const packs = await packsWith((bytes) => bytes.map((byte, i) => (i === HEADER_LENGTH + 3 ? byte ^ 1 : byte)));
    expect(await read(packs, await packs.size("id"))).toEqual([encodePathInfo(INFO)]);
    const without = await packsWith(undefined, []);
    expect(await read(without, await without.size("id"))).toEqual([]);
  });

  test("are none in a pack that is too short for a trailer, which is not read", async () => {
    const packs = await packsWith();
    expect(await read(packs, HEADER_LENGTH + FOOTER_LENGTH - 1)).toEqual([]);
    expect(packs.reads).toBe(0);
  });

  test("are unknown if the trailer does not fit, or the pack is shorter than its record says", async () => {
    const packs = await packsWith();
    const size = await packs.size("id");
    expect(await failure(read(packs, size - 1))).toBe("corrupt");
    expect(await failure(read(packs, size + 1))).toBe("corrupt");
  });
});
