import { expect, test } from "vitest";
import { InlineHashEngine } from "../../../src/hash/inline-engine.ts";
import { formatPublicKey } from "../../../src/nix/key.ts";
import { formatAddress, parseAddress } from "../../../src/node/addresses.ts";
import { nixCacheBackend } from "../../../src/node/backends/nix-cache.ts";
import { UsageError } from "../../../src/node/usage-error.ts";

test.each([
  "nix+https:",
  "nix+https:cache.test",
  "nix+https://cache.test#x",
  "nix+https://user@cache.test",
  "nix+https://cache.test?priority=1",
  "nix+https://cache.test?require-sigs=0",
  "nix+https://cache.test?trusted-public-keys=x",
  "nix+https://cache.test?trusted-public-keys=%",
  "nix+https://cache.test?require-sigs=true=x",
  "nix+https://cache.test?Require-sigs=true",
  "nix+https://cache.test?=x",
])("refuses %j", (text) => {
  expect(() => parseAddress(text)).toThrow(UsageError);
});

test.each([
  ["nix+https://Cache.test/", "nix+https://cache.test"],
  ["nix+http://cache.test:80/a/b/", "nix+http://cache.test/a/b"],
  ["nix+https://cache.test?", "nix+https://cache.test"],
  ["nix+https://cache.test?&", "nix+https://cache.test"],
  ["nix+https://cache.test?require-sigs=true", "nix+https://cache.test"],
  ["nix+https://cache.test?require-sigs=false", "nix+https://cache.test?require-sigs=false"],
  ["nix+https://cache.test?trusted-public-keys", "nix+https://cache.test"],
  ["nix+https://cache.test?trusted-public-keys=", "nix+https://cache.test"],
])("%s is %s", (text, canonical) => {
  expect(formatAddress(parseAddress(text))).toBe(canonical);
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

test("the order of the keys does not matter", () => {
  const addresses = [KEYS, [...KEYS].reverse()].map((keys) => `nix+https://cache.test?trusted-public-keys=${keys.join("%20")}`);
  expect(new Set(addresses.map((text) => formatAddress(parseAddress(text)))).size).toBe(1);
});

test("without a parameter, signatures are required; without keys, nobody's signature is enough", async () => {
  const engine = new InlineHashEngine();
  const trustOf = async (query: string) => {
    const address = parseAddress(`nix+https://cache.test${query}`);
    if (address.scheme !== "nix+https") throw new Error("not a binary cache");
    return (await nixCacheBackend.open(address, engine)).substitutes.trust;
  };
  expect(await trustOf("")).toEqual({ keys: [] });
  expect(await trustOf("?require-sigs=false")).toBe("all");
});
