import { describe, expect, it } from "vitest";
import { toHex } from "../../src/bytes.ts";
import {
  checkStorePathName,
  formatStorePath,
  parseHashPart,
  parseStorePath,
  storePathBaseName,
  storePathHashPart,
} from "../../src/nix/store-path.ts";

const HASH = "00bgd045z0d4icpbc2yyz4gx48ak44la";
const BASE_NAME = `${HASH}-net-tools-1.60_p20170221182432`;
const invalid = expect.objectContaining({ code: "invalid" });

describe("store path", () => {
  it("is read from the absolute path and from the base name", () => {
    for (const text of [`/nix/store/${BASE_NAME}`, BASE_NAME]) {
      const path = parseStorePath(text);
      expect(toHex(path.digest)).toBe("8a12321522fd91efbd60ebb2481af88580f61600");
      expect(path.name).toBe("net-tools-1.60_p20170221182432");
      expect(formatStorePath(path)).toBe(`/nix/store/${BASE_NAME}`);
      expect(storePathBaseName(path)).toBe(BASE_NAME);
      expect(storePathHashPart(path)).toBe(HASH);
    }
  });

  it("follows the store directory that it is given", () => {
    const path = parseStorePath(`/gnu/store/${BASE_NAME}`, "/gnu/store");
    expect(formatStorePath(path, "/gnu/store")).toBe(`/gnu/store/${BASE_NAME}`);
    expect(() => parseStorePath(`/nix/store/${BASE_NAME}`, "/gnu/store")).toThrow(invalid);
  });

  it.each([
    "",
    HASH,
    `${HASH}-`,
    `/nix/store/${HASH}`,
    `/nix/store/${BASE_NAME}/`,
    `/nix/store/${BASE_NAME}/bin`,
    `/nix/store//${BASE_NAME}`,
    `nix/store/${BASE_NAME}`,
    `/nix/${BASE_NAME}`,
    `${HASH}_net-tools`,
    `${HASH.replace("0", "e")}-net-tools`,
    `${HASH.toUpperCase()}-net-tools`,
    `${BASE_NAME}\n`,
    `${HASH}-a b`,
    `${HASH}-ä`,
    `${HASH}-${"a".repeat(212)}`,
  ])("refuses %j", (text) => {
    expect(() => parseStorePath(text)).toThrow(invalid);
  });

  it("bounds names at 211 characters", () => {
    checkStorePathName("a".repeat(211));
    checkStorePathName("09AZaz+-_?=.");
    for (const name of ["", "a".repeat(212), "a/b", "a\0", "a\n"]) expect(() => checkStorePathName(name)).toThrow(invalid);
  });

  it("has a hash part, which stands for it", () => {
    for (const text of [HASH, BASE_NAME, `/nix/store/${BASE_NAME}`]) expect(parseHashPart(text)).toBe(HASH);
    for (const text of ["", HASH.slice(1), `${HASH}0`, HASH.replace("0", "e"), `${HASH}\n`, `/nix/store/${HASH}`]) {
      expect(() => parseHashPart(text)).toThrow(invalid);
    }
  });
});
