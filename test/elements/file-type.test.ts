import { describe, expect, it } from "vitest";
import { concatBytes, utf8 } from "../../src/bytes.ts";
import { decodeText, imageType } from "../../src/elements/file-type.ts";
import { expectLinear } from "../setup/processor-time.ts";

describe("imageType", () => {
  it("depends on the content", () => {
    expect(imageType(new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]))).toBe("image/png");
    expect(imageType(utf8('<?xml version="1.0"?>\n<!-- drawn -->\n<svg xmlns="http://www.w3.org/2000/svg"/>'))).toBe(
      "image/svg+xml",
    );
    expect(imageType(utf8("<p>not <svg></p>"))).toBeUndefined();
    expect(imageType(utf8("<svgx>"))).toBeUndefined();
    expect(imageType(new Uint8Array(0))).toBeUndefined();
  });

  it.each([(size: number) => `<!--${"--><!--".repeat(size / 8)}`, (size: number) => " ".repeat(size)])(
    "takes linear time for text that is made to delay it (%#)",
    async (text) => {
      await expectLinear(1024, (size) => {
        const bytes = utf8(text(size));
        for (let i = 0; i < 1000; i++) imageType(bytes);
      });
    },
  );
});

describe("decodeText", () => {
  it("reads UTF-8, even if it is cut within a character", () => {
    expect(decodeText(utf8("Grüße"), false)).toEqual({ text: "Grüße", encoding: "UTF-8" });
    expect(decodeText(utf8("Grü").subarray(0, 3), true)).toEqual({ text: "Gr", encoding: "UTF-8" });
  });

  it("reads UTF-16 by its byte order mark, and guesses Windows-1252", () => {
    expect(decodeText(new Uint8Array([0xff, 0xfe, 0x41, 0]), false)?.text).toBe("A");
    expect(decodeText(new Uint8Array([0x47, 0x72, 0xfc]), false)).toMatchObject({
      text: "Grü",
      encoding: expect.stringContaining("1252"),
    });
  });

  it("refuses content that is not text", () => {
    expect(decodeText(concatBytes([utf8("ELF"), new Uint8Array([0])]), false)).toBeUndefined();
  });
});
