import { resolve } from "node:path";
import { expect, test } from "vitest";
import { formatPublicKey } from "../../src/nix/key.ts";
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
  "nix+https:",
  "nix+https:cache.test",
  "nix+https://cache.test#x",
  "nix+https://user@cache.test",
  "nix+https://cache.test?priority=1",
  "nix+https://cache.test?require-sigs=0",
  "nix+https://cache.test?trusted-public-keys=x",
  "nix+https://cache.test?trusted-public-keys=%",
])("refuses %j", (text) => {
  expect(() => parseAddress(text)).toThrow(UsageError);
});

// The second key has a plus, which can stand for a space in a query.
const KEYS = [1, 251].map((byte, i) => `cache-${i}:${Buffer.alloc(32, byte).toString("base64")}`);

test.each([
  ["%20", KEYS.map(encodeURIComponent)],
  ["%20", KEYS],
  ["+", KEYS],
  ["+", KEYS.map(encodeURIComponent)],
  [",", KEYS],
  ["%2C%20", KEYS],
  ["&trusted-public-keys=", KEYS],
])("keys of a binary cache, joined by %s", (separator, texts) => {
  const address = parseAddress(`nix+https://cache.test?trusted-public-keys=${texts.join(separator)}`);
  if (address.scheme !== "nix+https") throw new Error("not a binary cache");
  expect(address).toMatchObject({ url: "https://cache.test", requireSignatures: true });
  expect(address.trustedPublicKeys.map(formatPublicKey)).toEqual(KEYS);
  expect(parseAddress(formatAddress(address))).toEqual(address);
});
