import { describe, expect, it } from "vitest";
import { checkKeyName, formatSignature, parseSignature, readSignature, usableSignature } from "../../src/nix/signature.ts";
import { fixtureNames, fixtureText } from "./fixture.ts";

const invalid = expect.objectContaining({ code: "invalid" });
/** A signature by Nix. */
const SIGNATURE = /^Sig: (.*)$/m.exec(fixtureText(`narinfo/${fixtureNames("narinfo")[0]}`))?.[1] ?? "";
const DIGITS = "A".repeat(86);

describe("signature", () => {
  it("reads and writes name:base64", () => {
    const signature = parseSignature(SIGNATURE);
    expect(signature.name).toBe("fixtures-1");
    expect(signature.data.length).toBe(64);
    expect(formatSignature(signature)).toBe(SIGNATURE);
  });

  it("reads one without padding", () => {
    expect(formatSignature(parseSignature(SIGNATURE.replace(/=+$/, "")))).toBe(SIGNATURE);
  });

  it.each(["", "a", ":", "a:", `:${DIGITS}==`, `a b:${DIGITS}==`, `a:${"A".repeat(85)}`, `a:${"A".repeat(88)}`, `a:b:${DIGITS}==`])(
    "refuses %j",
    (text) => {
      expect(() => parseSignature(text)).toThrow(invalid);
    },
  );

  it("leaves out a signature that no key can have made, if it is one of several", () => {
    expect(readSignature(SIGNATURE)).toEqual(parseSignature(SIGNATURE));
    for (const text of [
      "a:",
      "a:?",
      `a b:${DIGITS}==`,
      `a\u0085:${DIGITS}==`,
      `a:${"A".repeat(85)}`,
      `a:${"A".repeat(88)}`,
      `a:b:${DIGITS}==`,
    ])
      expect(readSignature(text)).toBeUndefined();
    for (const text of ["", "a", ":", `:${DIGITS}==`]) expect(() => readSignature(text)).toThrow(invalid);
  });

  it("has 64 bytes", () => {
    const base64 = (length: number) => Buffer.alloc(length, 7).toString("base64");
    expect(usableSignature("a", base64(64))).toEqual({ name: "a", data: new Uint8Array(64).fill(7) });
    expect(usableSignature("a", base64(63))).toBeUndefined();
    expect(usableSignature("a", base64(65))).toBeUndefined();
    expect(usableSignature("", base64(64))).toBeUndefined();
  });

  it("does not write one that would be read as something else", () => {
    const data = new Uint8Array(64);
    for (const name of ["", "a:b", "a b", "a\nSig", "a\u0000", "a\u2028"])
      expect(() => formatSignature({ name, data })).toThrow(invalid);
    for (const length of [0, 63, 65]) expect(() => formatSignature({ name: "a", data: new Uint8Array(length) })).toThrow(invalid);
  });
});

describe("the name of a key", () => {
  it.each(["a", "cache.nixos.org-1", "\u00e9", "a=b", "\u{1f511}"])("may be %j", (name) => {
    checkKeyName(name);
  });

  it.each(["", " ", "a b", "a:", "a\tb", "a\n", "a\u0000", "a\u007f", "a\u00a0"])("can't be %j", (name) => {
    expect(() => checkKeyName(name)).toThrow(invalid);
  });
});
