import { describe, expect, test } from "vitest";
import { utf8 } from "../../src/bytes.ts";
import { cString, isZeroBlock, parseTarHeader, TarFault, tarSize } from "../../src/castore/tar-header.ts";
import { checksum, GNU_MAGIC, header, octal, V7_MAGIC } from "./tar-builder.ts";

const latin1 = (text: string): Uint8Array => Buffer.from(text, "latin1");
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1");

describe("a header", () => {
  test("has its fields", () => {
    const fields = parseTarHeader(header({ name: "d/a", type: "2", link: "there", size: 0o1234, mode: 0o755 }));
    expect({ ...fields, path: text(fields.path), linkPath: text(fields.linkPath) }).toEqual({
      type: "2",
      path: "d/a",
      linkPath: "there",
      size: 0o1234,
      mode: 0o755,
      isGnu: false,
    });
  });

  test("may fill its fields", () => {
    const fields = parseTarHeader(header({ name: "n".repeat(100), link: "l".repeat(100), fields: { 345: "p".repeat(155) } }));
    expect(text(fields.path)).toBe(`${"p".repeat(155)}/${"n".repeat(100)}`);
    expect(text(fields.linkPath)).toBe("l".repeat(100));
  });

  test.each([
    ["ustar\x0000", "p/n", false],
    [GNU_MAGIC, "n", true],
    ["ustar \0\0", "p/n", false],
    ["ustar\0 \0", "p/n", false],
    ["ustar  x", "p/n", false],
    ["ustaR  \0", "n", false],
    [V7_MAGIC, "n", false],
  ])("with the magic %j", (magic, path, isGnu) => {
    const fields = parseTarHeader(header({ name: "n", magic, fields: { 345: "p" } }));
    expect([text(fields.path), fields.isGnu]).toEqual([path, isGnu]);
  });

  test("has the mode 0 if the field is not a number", () => {
    expect(parseTarHeader(header({ name: "n", fields: { 100: "rwxr-xr-" } })).mode).toBe(0);
  });

  test("keeps its names when the block changes", () => {
    const block = header({ name: "name", type: "2", link: "link" });
    const fields = parseTarHeader(block);
    block.fill(0);
    expect([text(fields.path), text(fields.linkPath)]).toEqual(["name", "link"]);
  });
});

describe("a checksum", () => {
  /** A header whose name has bytes with the top bit, and whose checksum is `write(sum)`. */
  const summed = (name: string, write: (unsigned: number) => number): Uint8Array => {
    const block = header({ name, fields: { 148: "        " } });
    block.set(utf8(`${octal(write(checksum(block)), 6)}\0 `), 148);
    return block;
  };

  test.each(["\x7f", "\x80", "\xff"])("may be a sum of signed bytes, as for %j", (name) => {
    const isNegative = name > "\x7f";
    expect(text(parseTarHeader(summed(name, (sum) => (isNegative ? sum - 256 : sum))).path)).toBe(name);
  });

  test.each([1, -1, -256, 256])("that is wrong by %d is refused", (difference) => {
    expect(() => parseTarHeader(summed("abc", (sum) => sum + difference))).toThrow(TarFault);
  });

  test("of both kinds mixed is refused", () => {
    expect(() => parseTarHeader(summed("\xff\xff", (sum) => sum - 256))).toThrow(TarFault);
  });
});

describe("a size", () => {
  test.each<[string, number]>([
    ["00000000017\0", 15],
    ["777777777777", 0o777777777777],
    ["  \t12 99\0", 10],
    ["128", 10],
    ["", 0],
    ["\0\0\0", 0],
    ["   ", 0],
    ["  \0x", 0],
    ["\x80\0\0\0\0\0\0\0\0\0\x01\x02", 258],
    ["\x80\0\0\0\0\x1f\xff\xff\xff\xff\xff\xff", Number.MAX_SAFE_INTEGER],
    ["\xbf", 0x3f],
  ])("%j is %d", (field, size) => {
    // An empty field has at least one byte, which is NUL.
    expect(tarSize(latin1(field === "" ? "\0" : field))).toBe(size);
  });

  test.each([
    "x",
    " 9",
    "8",
    "/",
    "\x80\0\0\0\0\x20\0\0\0\0\0\0",
    "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
    "\xc0\0\0\0\0\0\0\0\0\0\0\0",
  ])("%j is refused", (field) => {
    expect(() => tarSize(latin1(field))).toThrow(TarFault);
  });
});

test("a block is zero only if all of its bytes are", () => {
  const block = new Uint8Array(512);
  expect(isZeroBlock(block)).toBe(true);
  block[511] = 1;
  expect(isZeroBlock(block)).toBe(false);
});

test("a string ends before its first NUL, and is a copy", () => {
  expect(text(cString(utf8("ab\0c\0")))).toBe("ab");
  expect(text(cString(utf8("abc")))).toBe("abc");
  expect(cString(utf8("\0abc"))).toHaveLength(0);
  const field = utf8("abc");
  const copy = cString(field);
  field[0] = 0;
  expect(text(copy)).toBe("abc");
});
