import { resolve } from "node:path";
import { expect, test } from "vitest";
import { formatAddress, parseAddress } from "../../src/node/addresses.ts";
import { UsageError } from "../../src/node/usage-error.ts";

test.each([
  ["memory:", "memory:"],
  ["memory://", "memory:"],
  ["file:/a b/%20", "file:/a b/%20"],
  ["file:///a%20b", "file:/a b"],
  ["file:relative", `file:${resolve("relative")}`],
  ["objectstore+file:/data/", "objectstore+file:/data"],
  ["objectstore+file:///data", "objectstore+file:/data"],
  ["objectstore+memory://", "objectstore+memory:"],
  ["grpc+http://[::1]:8000", "grpc+http://[::1]:8000"],
  ["grpc+http://Example.org:80/", "grpc+http://example.org"],
  ["grpc+https://example.org", "grpc+https://example.org"],
  ["grpc+unix:/run/store.sock", "grpc+unix:/run/store.sock"],
  ["grpc+unix:///run/store.sock", "grpc+unix:/run/store.sock"],
  ["nix+https://Cache.example.org/", "nix+https://cache.example.org"],
  ["nix+http://127.0.0.1:80/some/where/?require-sigs=false", "nix+http://127.0.0.1/some/where?require-sigs=false"],
])("%s is %s", (text, canonical) => {
  expect(formatAddress(parseAddress(text))).toBe(canonical);
});

test.each(["objectstore+s3", "nix+s3", "bigtable", "sled", "surprise"])("refuses the scheme %s and names it", (scheme) => {
  expect(() => parseAddress(`${scheme}://somewhere`)).toThrow(UsageError);
  expect(() => parseAddress(`${scheme}://somewhere`)).toThrow(scheme);
});

test.each(["", "/data", "127.0.0.1:8000", "memory:x", "file:", "file://host/data", "file:///%"])("refuses %j", (text) => {
  expect(() => parseAddress(text)).toThrow(UsageError);
});

test("refuses what is no address of a known scheme, and names the scheme", () => {
  for (const scheme of ["FILE", "grpc", "constructor", "__proto__"])
    expect(() => parseAddress(`${scheme}:x`)).toThrow(expect.objectContaining({ name: "UsageError" }));
});
