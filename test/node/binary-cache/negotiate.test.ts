import { expect, test } from "vitest";
import { chooseCoding } from "../../../src/node/binary-cache/negotiate.ts";

test.each([
  [undefined, "identity", "identity"],
  ["", "identity", "identity"],
  ["zstd, br, gzip", "zstd", "identity"],
  ["gzip", "gzip", "identity"],
  ["GZIP ; Q=0.5", "gzip", "identity"],
  ["br", "identity", "identity"],
  ["*", "zstd", "identity"],
  ["zstd;q=0, *", "gzip", "identity"],
  ["zstd;q=0.1, gzip;q=0.5", "gzip", "identity"],
  ["gzip;q=0.5, zstd;q=0.5", "zstd", "identity"],
  ["zstd;q=x, gzip;q=0.1", "gzip", "identity"],
  ["zstd;q=0, gzip;q=0", "identity", "identity"],
  ["identity;q=0", "identity", "identity"],
  ["zstd, gzip, identity;q=0", "zstd", "zstd"],
  ["gzip, *;q=0", "gzip", "gzip"],
  ["gzip;q=0.1, identity;q=0.9", "gzip", "identity"],
])("%j is answered with %s, and to a client on this machine with %s", (header, far, near) => {
  expect(chooseCoding(header, false)).toBe(far);
  expect(chooseCoding(header, true)).toBe(near);
});
