import { describe, expect, it } from "vitest";
import { concatBytes, utf8 } from "../../src/bytes.ts";
import { downloadName, showName } from "../../src/elements/file-name.ts";

describe("showName", () => {
  it("leaves readable names alone", () => {
    for (const name of ["README.md", "naïve Ωmega", "日本語.txt", "مرحبا"]) expect(showName(utf8(name))).toBe(name);
  });

  it("escapes characters that would hide or reorder text", () => {
    expect(showName(utf8("evil\u202egnp.exe"))).toBe("evil\\u{202e}gnp.exe");
    expect(showName(utf8("a\nb\u0000\u200b"))).toBe("a\\u{a}b\\u{0}\\u{200b}");
  });

  it("shows bytes that are not UTF-8, between readable text", () => {
    const name = concatBytes([utf8("é"), new Uint8Array([0xff, 0xc3]), utf8("x"), new Uint8Array([0xe2, 0x82])]);
    expect(showName(name)).toBe("é\\xff\\xc3x\\xe2\\x82");
  });
});

describe("downloadName", () => {
  it("is a single file name", () => {
    expect(downloadName(utf8("a/b:c"))).toBe("a_b_c");
    expect(downloadName(utf8(".."))).toBe("file");
    expect(downloadName(new Uint8Array(0))).toBe("file");
  });
});
