import { createPrivateKey, generateKeyPairSync, sign as signWithNode } from "node:crypto";
import { describe, expect, test } from "vitest";
import { fromBase64Url, utf8 } from "../../src/bytes.ts";
import { generateSecretKey, sign, verify } from "../../src/nix/ed25519.ts";
import { fingerprint } from "../../src/nix/fingerprint.ts";
import { formatPublicKey, formatSecretKey, parsePublicKey, parseSecretKey, publicKeyOf } from "../../src/nix/key.ts";
import { parseNarInfo } from "../../src/nix/narinfo.ts";
import { fixtureNames, fixtureText } from "./fixture.ts";

const invalid = expect.objectContaining({ name: "StoreError", code: "invalid" });
const KEY = parsePublicKey(fixtureText("public-key").trim());

/** Runs `work` without WebCrypto. */
async function withoutWebCrypto<T>(work: () => Promise<T>): Promise<T> {
  const { subtle } = crypto;
  Object.defineProperty(crypto, "subtle", { value: undefined, configurable: true });
  try {
    return await work();
  } finally {
    Object.defineProperty(crypto, "subtle", { value: subtle, configurable: true });
  }
}

const WAYS: [string, <T>(work: () => Promise<T>) => Promise<T>][] = [
  ["WebCrypto", (work) => work()],
  ["the library", withoutWebCrypto],
];

describe.each(WAYS)("with %s", (_, within) => {
  test.each(fixtureNames("narinfo"))("a signature of Nix is accepted, and changed ones are refused: %s", async (name) => {
    const info = parseNarInfo(fixtureText(`narinfo/${name}`));
    for (const signature of info.signatures) {
      const text = fingerprint(info);
      expect(await within(() => verify(signature, text, [KEY]))).toBe(true);
      expect(await within(() => verify(signature, `${text} `, [KEY]))).toBe(false);
      expect(await within(() => verify(signature, text, []))).toBe(false);
      expect(await within(() => verify({ ...signature, name: "other" }, text, [KEY]))).toBe(false);
      const data = signature.data.slice();
      data[0] = (data[0] as number) ^ 1;
      expect(await within(() => verify({ ...signature, data }, text, [KEY]))).toBe(false);
      expect(await within(() => verify({ ...signature, data: data.subarray(1) }, text, [KEY]))).toBe(false);
      const other = { name: KEY.name, bytes: publicKeyOf(await generateSecretKey("x")).bytes };
      expect(await within(() => verify(signature, text, [other]))).toBe(false);
      expect(await within(() => verify(signature, text, [other, KEY]))).toBe(true);
    }
  });

  test("our signatures equal those of another implementation", async () => {
    const { privateKey } = generateKeyPairSync("ed25519");
    const { d, x } = privateKey.export({ format: "jwk" });
    const key = { name: "k-1", seed: fromBase64Url(d ?? ""), publicBytes: fromBase64Url(x ?? "") };
    const { name, data } = await within(() => sign(key, "1;text"));
    expect(name).toBe("k-1");
    const pkcs8 = createPrivateKey({ key: privateKey.export({ format: "der", type: "pkcs8" }), format: "der", type: "pkcs8" });
    expect(Buffer.from(data)).toEqual(signWithNode(null, Buffer.from(utf8("1;text")), pkcs8));
  });

  test("a key whose halves belong to two keys does not sign", async () => {
    const [one, two] = [await generateSecretKey("k"), await generateSecretKey("k")];
    await expect(within(() => sign({ ...one, publicBytes: two.publicBytes }, "text"))).rejects.toThrow(invalid);
  });

  test("a key that is no point on the curve accepts nothing", async () => {
    const key = { name: "k", bytes: new Uint8Array(32).fill(0xff) };
    expect(await within(() => verify({ name: "k", data: new Uint8Array(64) }, "text", [key]))).toBe(false);
  });
});

test("a new key signs, and is read back from its text", async () => {
  const key = await generateSecretKey("cache-1");
  expect(parseSecretKey(`${formatSecretKey(key)}\n`)).toEqual(key);
  expect(parsePublicKey(formatPublicKey(publicKeyOf(key)))).toEqual(publicKeyOf(key));
  expect(await verify(await sign(key, "text"), "text", [publicKeyOf(key)])).toBe(true);
});
