import { expect, test } from "vitest";
import { memoryRecords } from "../../src/node/binary-cache/uploads.ts";

test("the size of records in memory is limited, keys included; the least recently used go first", async () => {
  const records = memoryRecords(20_000);
  await records.put(new Map([["first", "1"]]));
  for (let i = 0; i < 1000; i++) {
    await records.put(new Map([[`${i}/${"k".repeat(1000)}`, "x".repeat(1000)]]));
    expect(await records.get("first")).toBe("1");
  }
  let kept = 0;
  for (let i = 0; i < 1000; i++) if (await records.get(`${i}/${"k".repeat(1000)}`)) kept++;
  expect(kept).toBeGreaterThan(0);
  expect(kept).toBeLessThan(6);
});
