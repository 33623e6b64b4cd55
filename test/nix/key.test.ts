import { expect, test } from "vitest";
import { concatBytes, utf8 } from "../../src/bytes.ts";
import {
  formatPublicKey,
  formatSecretKey,
  parsePublicKey,
  parsePublicKeys,
  parseSecretKey,
  publicKeyOf,
} from "../../src/nix/key.ts";
import { fixtureText } from "./fixture.ts";

const invalid = expect.objectContaining({ name: "StoreError", code: "invalid" });

function base64(length: number, byte = 1): string {
  return Buffer.alloc(length, byte).toString("base64");
}

test("a public key of Nix is read, and written again", () => {
  const text = fixtureText("public-key").trim();
  const key = parsePublicKey(text);
  expect([key.name, key.bytes.length]).toEqual(["fixtures-1", 32]);
  expect(formatPublicKey(key)).toBe(text);
});

test("a secret key is the seed, followed by the public key", () => {
  const text = `k-1:${Buffer.concat([Buffer.alloc(32, 1), Buffer.alloc(32, 2)]).toString("base64")}`;
  const key = parseSecretKey(` ${text}\n`);
  expect(key).toEqual({ name: "k-1", seed: new Uint8Array(32).fill(1), publicBytes: new Uint8Array(32).fill(2) });
  expect(publicKeyOf(key)).toEqual({ name: "k-1", bytes: new Uint8Array(32).fill(2) });
  expect(formatSecretKey(key)).toBe(text);
});

test("several keys are separated by blanks, and one name has one key", () => {
  const [a, b, second] = [`a:${base64(32, 1)}`, `b:${base64(32, 2)}`, `a:${base64(32, 3)}`];
  const keys = [parsePublicKey(a), parsePublicKey(b)];
  expect(parsePublicKeys(`\n${a}\t\n  ${b} `)).toEqual(keys);
  expect(parsePublicKeys([a, b, a])).toEqual(keys);
  expect(parsePublicKeys("")).toEqual([]);
  expect(() => parsePublicKeys([a, b, second])).toThrow(invalid);
  // A list that is not a text has no blanks to skip.
  expect(() => parsePublicKeys([` ${a}`])).toThrow(invalid);
});

test.each(["", "name", "name:", ":AAAA", `:${base64(32)}`, "name:????", `a b:${base64(32)}`, `a\n:${base64(32)}`])(
  "refused as a key: %j",
  (text) => {
    expect(() => parsePublicKey(text)).toThrow(invalid);
    expect(() => parseSecretKey(text)).toThrow(invalid);
  },
);

test("keys of another length are refused", () => {
  for (const length of [31, 33, 64]) expect(() => parsePublicKey(`a:${base64(length)}`)).toThrow(invalid);
  for (const length of [32, 63, 65]) expect(() => parseSecretKey(`a:${base64(length)}`)).toThrow(invalid);
});

test("an error does not show the secret", () => {
  const secret = Buffer.from(concatBytes([utf8("secret"), new Uint8Array(40)])).toString("base64");
  for (const text of [`name:${secret}`, `na me:${secret}`, `name:${secret}?`, secret]) {
    const error = (() => {
      try {
        return parseSecretKey(text);
      } catch (error) {
        return error;
      }
    })() as Error;
    expect(error).toEqual(invalid);
    expect(`${error.message}${error.cause}`).not.toContain(secret.slice(0, 7));
  }
});
