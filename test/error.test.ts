import { expect, test } from "vitest";
import { isStoreError, StoreError, undefinedIfCorrupt } from "../src/error.ts";

test("tells errors of the library, and their codes", () => {
  const error = new StoreError("corrupt", "damaged");
  expect([isStoreError(error), isStoreError(error, "corrupt"), isStoreError(error, "invalid")]).toEqual([true, true, false]);
  expect([isStoreError(new Error("corrupt")), isStoreError(undefined, "corrupt")]).toEqual([false, false]);
});

test("gives `undefined` for corrupt data, and passes on everything else", async () => {
  expect(await undefinedIfCorrupt(Promise.resolve("value"))).toBe("value");
  expect(await undefinedIfCorrupt(Promise.reject(new StoreError("corrupt", "damaged")))).toBeUndefined();
  for (const error of [new StoreError("quota", "full"), new Error("corrupt")])
    await expect(undefinedIfCorrupt(Promise.reject(error))).rejects.toBe(error);
});
