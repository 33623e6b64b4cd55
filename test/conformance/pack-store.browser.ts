import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { concatBytes, equalBytes } from "../../src/bytes.ts";
import { isStoreError } from "../../src/error.ts";
import { StoreDatabase } from "../../src/worker/database.ts";
import { IndexedDbPacks } from "../../src/worker/indexeddb-packs.ts";
import type { PackStore } from "../../src/worker/pack-store.ts";
import { pseudoRandom } from "./content.ts";
import { opfsPacks } from "./packed-backend.browser.ts";

/** Tests the rules of `PackStore`. */
export function packStoreSuite(where: "IndexedDB" | "OPFS"): void {
  describe(`PackStore: ${where}`, () => {
    let packs: PackStore;
    let close = async (): Promise<void> => {};

    beforeAll(async () => {
      const name = crypto.randomUUID();
      if (where === "OPFS") {
        packs = await opfsPacks(name);
        return;
      }
      const database = new StoreDatabase(name);
      packs = new IndexedDbPacks(database);
      close = () => database.close();
    });
    afterAll(() => close());

    async function write(parts: readonly Uint8Array[]): Promise<string> {
      const id = crypto.randomUUID();
      const writer = await packs.create(id);
      for (const part of parts) await writer.append(part);
      await writer.finish(parts.length % 2 === 1 ? "now" : "beside");
      return id;
    }

    test("ranges come back, in the order of the questions", async () => {
      const parts = [700_000, 1, 1_500_000, 3_000_000, 17].map((size, i) => pseudoRandom(size, i + 1));
      const whole = concatBytes(parts);
      const id = await write(parts);
      const ranges = [
        { offset: 5_000_000, length: 200_018 },
        { offset: 0, length: 1 },
        { offset: 1_048_570, length: 12 },
        { offset: 0, length: whole.length },
        { offset: 700_000, length: 1 },
        { offset: whole.length, length: 0 },
        { offset: 2_097_152, length: 1_048_576 },
      ];
      const found = await packs.read(id, ranges);
      expect(await packs.size(id)).toBe(whole.length);
      for (const [i, { offset, length }] of ranges.entries())
        expect(equalBytes(found[i] as Uint8Array, whole.subarray(offset, offset + length)), `range ${i}`).toBe(true);
    });

    test("what is being written can be read by its writer", async () => {
      const writer = await packs.create(crypto.randomUUID());
      const bytes = pseudoRandom(2_500_000, 9);
      await writer.append(bytes.subarray(0, 1_000_000));
      expect(equalBytes(await writer.read({ offset: 999_990, length: 10 }), bytes.subarray(999_990, 1_000_000))).toBe(true);
      await writer.append(bytes.subarray(1_000_000));
      expect(equalBytes(await writer.read({ offset: 10, length: 2_400_000 }), bytes.subarray(10, 2_400_010))).toBe(true);
      await writer.abort();
    });

    test.each([1, 1_048_576, 1_048_577, 2_097_152])("the size of a pack is known: %s bytes", async (size) => {
      expect(await packs.size(await write([pseudoRandom(size, 6)]))).toBe(size);
    });

    test("an aborted pack is gone", async () => {
      const id = crypto.randomUUID();
      const writer = await packs.create(id);
      await writer.append(pseudoRandom(3_000_000, 3));
      await writer.abort();
      expect(await packs.list()).not.toContain(id);
    });

    test("packs are listed until they are deleted, and deleting what is not there is no error", async () => {
      const id = await write([pseudoRandom(10, 4)]);
      await packs.read(id, [{ offset: 0, length: 10 }]);
      expect(await packs.list()).toContain(id);
      const other = crypto.randomUUID();
      expect(await packs.missing([id, other])).toEqual([other]);
      expect(await packs.delete(id)).toBe(true);
      expect(await packs.list()).not.toContain(id);
      expect(await packs.missing([id, other])).toEqual([id, other]);
      expect(await packs.delete(id)).toBe(true);
    });

    test("what is missing or cut short is corrupt", async () => {
      const isCorrupt = (error: unknown): boolean => isStoreError(error, "corrupt");
      const missing = await packs.read(crypto.randomUUID(), [{ offset: 0, length: 1 }]).catch((error: unknown) => error);
      expect(isCorrupt(missing), String(missing)).toBe(true);
      const size = await packs.size(crypto.randomUUID()).catch((error: unknown) => error);
      expect(isCorrupt(size), String(size)).toBe(true);
      const id = await write([pseudoRandom(100, 5)]);
      const short = await packs.read(id, [{ offset: 90, length: 11 }]).catch((error: unknown) => error);
      expect(isCorrupt(short), String(short)).toBe(true);
    });
  });
}
