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
  ["grpc+http://[::1]:8000", "grpc+http://[::1]:8000"],
  ["grpc+http://Example.org:80/", "grpc+http://example.org"],
  ["grpc+https://example.org", "grpc+https://example.org"],
  ["grpc+unix:/run/store.sock", "grpc+unix:/run/store.sock"],
  ["grpc+unix:///run/store.sock", "grpc+unix:/run/store.sock"],
])("%s is %s", (text, canonical) => {
  expect(formatAddress(parseAddress(text))).toBe(canonical);
});

test.each(["objectstore+s3", "nix+https", "bigtable", "sled", "surprise"])("refuses the scheme %s by name", (scheme) => {
  expect(() => parseAddress(`${scheme}://somewhere`)).toThrow(UsageError);
  expect(() => parseAddress(`${scheme}://somewhere`)).toThrow(scheme);
});

test.each([
  "",
  "/data",
  "127.0.0.1:8000",
  "memory:x",
  "file:",
  "file://host/data",
  "file:///%",
  "file:///%00",
  "grpc+http:",
  "grpc+http:localhost:8000",
  "grpc+http://",
  "grpc+http://host:99999",
  "grpc+http://host/path",
  "grpc+http://user@host",
])("refuses %j", (text) => {
  expect(() => parseAddress(text)).toThrow(UsageError);
});
