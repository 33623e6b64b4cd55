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

// Path of builtins.toFile "text-a" "a". The digest comes from `nix-hash --type sha1 --to-base16`.
const HASH = "6kf2ly9l4dfgd4pxahsinwwcpks2l3sp";
const BASE_NAME = `${HASH}-text-a`;
const invalid = expect.objectContaining({ code: "invalid" });

describe("store path", () => {
  it("is read from an absolute path and from a base name", () => {
    for (const text of [`/nix/store/${BASE_NAME}`, BASE_NAME]) {
      const path = parseStorePath(text);
      expect(toHex(path.digest)).toBe("570f2af4bc8c731b3554fd92f65c2334792adc34");
      expect(path.name).toBe("text-a");
      expect(formatStorePath(path)).toBe(`/nix/store/${BASE_NAME}`);
      expect(storePathBaseName(path)).toBe(BASE_NAME);
      expect(storePathHashPart(path)).toBe(HASH);
    }
  });

  it("depends on the given store directory", () => {
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
    `${HASH}_text-a`,
    `${HASH.replace("6", "e")}-text-a`,
    `${HASH.toUpperCase()}-text-a`,
    `${BASE_NAME}\n`,
    `${HASH}-a b`,
    `${HASH}-ä`,
    `${HASH}-${"a".repeat(212)}`,
    `${HASH}-.`,
    `${HASH}-..`,
    `${HASH}-.-a`,
    `${HASH}-..-a`,
    `/nix/store/${HASH}-..-`,
  ])("refuses %j", (text) => {
    expect(() => parseStorePath(text)).toThrow(invalid);
  });

  it("limits names to 211 characters", () => {
    checkStorePathName("a".repeat(211));
    checkStorePathName("09AZaz+-_?=.");
    for (const name of ["", "a".repeat(212), "a/b", "a\0", "a\n"]) expect(() => checkStorePathName(name)).toThrow(invalid);
  });

  it("refuses the names that a file system reserves for directories, as Nix 2.34 does", () => {
    for (const name of [".", "..", ".-", ".-a", "..-", "..-a"]) expect(() => checkStorePathName(name), name).toThrow(invalid);
    for (const name of ["...", "...-a", ".a", "..a", ".a-b", "a.", "a-.", "a-..", "-", "--", "-.", ".=", "..?"])
      checkStorePathName(name);
  });

  it("has a hash part, which identifies it", () => {
    for (const text of [HASH, BASE_NAME, `/nix/store/${BASE_NAME}`]) expect(parseHashPart(text)).toBe(HASH);
    for (const text of ["", HASH.slice(1), `${HASH}0`, HASH.replace("6", "e"), `${HASH}\n`, `/nix/store/${HASH}`]) {
      expect(() => parseHashPart(text)).toThrow(invalid);
    }
  });
});
