import { expect, test } from "vitest";
import { checkTimeouts, type Timeouts } from "../src/timeouts.ts";

test("missing timeouts have the defaults", () => {
  expect(checkTimeouts()).toEqual({ connect: 60_000, stall: 300_000 });
  expect(checkTimeouts({ connect: undefined, stall: 1 })).toEqual({ connect: 60_000, stall: 1 });
});

test("a timeout above the longest delay of a timer is limited to it", () => {
  const longest = 2 ** 31 - 1;
  expect(checkTimeouts({ connect: longest, stall: 0.5 })).toEqual({ connect: longest, stall: 0.5 });
  expect(checkTimeouts({ connect: longest + 1, stall: Number.POSITIVE_INFINITY })).toEqual({ connect: longest, stall: longest });
});

test.each([0, -1, Number.NaN, Number.NEGATIVE_INFINITY, "1000", null, true, [1]])("not a timeout: %j", (value) => {
  for (const name of ["connect", "stall"])
    expect(() => checkTimeouts({ [name]: value } as Timeouts)).toThrow(
      expect.objectContaining({ name: "StoreError", code: "invalid" }),
    );
});
