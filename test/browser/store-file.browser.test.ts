import { expect, test } from "vitest";
import { StoreFile } from "../../src/browser/store-file.ts";
import { utf8 } from "../../src/bytes.ts";

const file = (size: number, content: string): StoreFile =>
  new StoreFile("path/file", size, {
    open: () => new Blob([utf8(content) as Uint8Array<ArrayBuffer>]).stream(),
    read: async () => utf8(content),
  });

test("content that is longer or shorter than the file is corrupt, without zeros and RangeErrors", async () => {
  expect(await file(5, "right").text()).toBe("right");
  await expect(file(6, "short").arrayBuffer()).rejects.toMatchObject({ code: "corrupt" });
  await expect(file(4, "longer").text()).rejects.toMatchObject({ code: "corrupt" });
  expect(await file(0, "").text()).toBe("");
  const long = "long".repeat(100_000);
  expect(await file(long.length, long).text()).toBe(long);
  await expect(file(long.length + 1, long).arrayBuffer()).rejects.toMatchObject({ code: "corrupt" });
  await expect(file(long.length - 1, long).text()).rejects.toMatchObject({ code: "corrupt" });
});
