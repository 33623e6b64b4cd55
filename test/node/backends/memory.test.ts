import { expect, test } from "vitest";
import { formatAddress, parseAddress } from "../../../src/node/addresses.ts";
import { UsageError } from "../../../src/node/usage-error.ts";

test.each([
  ["", true, true],
  ["//", true, true],
  ["///", false, true],
  ["x", false, false],
  ["//x", false, false],
  ["/", false, false],
])("memory:%s is an address: %s; objectstore+memory: has one slash more", (rest, isMemory, isObjectStore) => {
  for (const [scheme, isAddress] of [
    ["memory", isMemory],
    ["objectstore+memory", isObjectStore],
  ] as const) {
    const parse = () => parseAddress(`${scheme}:${rest}`);
    if (isAddress) expect(formatAddress(parse())).toBe(`${scheme}:`);
    else expect(parse).toThrow(UsageError);
  }
});
