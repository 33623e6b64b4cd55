import { expect, test } from "vitest";
import { plural, showCount, showSize } from "../../src/elements/size.ts";

test.each<[number | bigint, string]>([
  [0, "0 B"],
  [1, "1 B"],
  [1023, "1023 B"],
  [1024, "1.0 KiB"],
  [1536, "1.5 KiB"],
  [10 * 1024, "10 KiB"],
  [17.4 * 1024 * 1024, "17 MiB"],
  [2 ** 40, "1.0 TiB"],
  [2n ** 63n, "8.0 EiB"],
  [2n ** 70n, "1024 EiB"],
])("%s bytes are %s", (bytes, shown) => {
  expect(showSize(bytes)).toBe(shown);
});

test("a number has the separators of the reader's language", () => {
  expect(showCount(1_234_567)).toBe((1_234_567).toLocaleString());
  expect(showCount(2n ** 60n)).toBe((2n ** 60n).toLocaleString());
});

test("a noun follows its number", () => {
  expect([plural(0, "path"), plural(1, "path"), plural(2, "path")]).toEqual(["0 paths", "1 path", "2 paths"]);
  expect([plural(1, "entry", "entries"), plural(3, "entry", "entries")]).toEqual(["1 entry", "3 entries"]);
  expect(plural(2000, "path")).toBe(`${(2000).toLocaleString()} paths`);
});
