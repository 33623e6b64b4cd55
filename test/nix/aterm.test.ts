import { expect, test } from "vitest";
import { utf8 } from "../../src/bytes.ts";
import { ATermReader, ATermWriter } from "../../src/nix/aterm.ts";
import { expectLinear } from "../setup/processor-time.ts";

const invalid = expect.objectContaining({ name: "StoreError", code: "invalid" });

function reader(text: string | Uint8Array): ATermReader {
  return new ATermReader(typeof text === "string" ? utf8(text) : text, "x");
}

function latin1(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, "latin1"));
}

function written(write: (writer: ATermWriter) => void): Buffer {
  const writer = new ATermWriter();
  write(writer);
  return Buffer.from(writer.bytes());
}

test.each([
  ['""', ""],
  ['"a"', "a"],
  ['"\\n\\r\\t\\"\\\\"', '\n\r\t"\\'],
  // Nix reads any other character behind a backslash as itself.
  ['"\\a\\0\\é"', "a0é"],
  ['"\\\\n"', "\\n"],
  ['"a\nb\0"', "a\nb\0"],
  ['"\u{1f4be}"', "\u{1f4be}"],
])("the string %j is read", (text, value) => {
  const read = reader(text);
  expect(read.string()).toBe(value);
  read.end();
});

test.each(["", "a", '"', '"a', '"\\', '"\\"', '"a\\\\\\"'])("not a string: %j", (text) => {
  expect(() => reader(text).string()).toThrow(invalid);
});

test("several strings are read one after the other, with and without escapes", () => {
  const read = reader('"a""\\n""b""\\"c\\"""d"');
  expect([0, 1, 2, 3, 4].map(() => read.string())).toEqual(["a", "\n", "b", '"c"', "d"]);
  read.end();
});

test("in a file that is not UTF-8, strings that are UTF-8 are text, and others are bytes", () => {
  const read = reader(latin1('"\xff\\n""\xc3\xbc""a"'));
  expect(read.string()).toEqual(Uint8Array.of(0xff, 0x0a));
  expect(read.string()).toBe("ü");
  expect(read.text()).toBe("a");
  read.end();
  expect(() => reader(latin1('"\xff"')).text()).toThrow(invalid);
});

test("a literal is taken only if it comes next", () => {
  const read = reader("Derive(x");
  expect(read.skip("Derive[")).toBe(false);
  expect(read.skip("Derive(")).toBe(true);
  expect(() => read.take("y")).toThrow(invalid);
  expect(() => read.end()).toThrow(invalid);
  read.take("x");
  read.end();
  expect(read.skip("x")).toBe(false);
});

test.each<[string, string[] | undefined]>([
  ["[]", []],
  ['["b"]', ["b"]],
  ['["b","a"]', ["b", "a"]],
  ['["a","a"]', undefined],
  ['["a",]', undefined],
  ["[,]", undefined],
  ['["a""b"]', undefined],
  ['["a"', undefined],
  ["[", undefined],
  ['"a"', undefined],
])("a set of strings: %j", (text, expected) => {
  const read = reader(text);
  if (!expected) expect(() => read.set("item")).toThrow(invalid);
  else {
    expect([...read.set("item")]).toEqual(expected);
    read.end();
  }
});

test("a list of tuples becomes a map, and has each key once", () => {
  const map = (text: string) => {
    const read = reader(text);
    const found = read.map("item", () => {
      const key = read.text();
      read.take(",");
      return [key, read.string()];
    });
    return [...found];
  };
  expect(map('[("b","1"),("a","1")]')).toEqual([
    ["b", "1"],
    ["a", "1"],
  ]);
  expect(map('[("__proto__","1")]')).toEqual([["__proto__", "1"]]);
  for (const text of ['[("a","1"),("a","2")]', '["a","1"]', '[("a")]', '[("a","1","2")]']) expect(() => map(text)).toThrow(invalid);
});

test("an error names the derivation and the position", () => {
  const read = reader('"a"b');
  read.string();
  expect(read.error("problem")).toMatchObject({ code: "invalid", message: expect.stringContaining('"x", at 3') });
});

test("strings are written with the escapes of Nix, and are read again", () => {
  const values = ["", "a", '"\\\n\r\t', "\0\u007f", "ü\u{1f4be}", Uint8Array.of(0xff, 0x22, 0x0a, 0x80)];
  const bytes = written((writer) => writer.tuple(values));
  expect(bytes.toString("latin1")).toBe(
    `("","a","\\"\\\\\\n\\r\\t","\0\u007f","${utf8("ü\u{1f4be}").reduce((all, byte) => all + String.fromCharCode(byte), "")}","\xff\\"\\n\x80")`,
  );
  const read = reader(bytes);
  read.take("(");
  for (const [i, value] of values.entries()) {
    if (i > 0) read.take(",");
    expect(read.string()).toEqual(value);
  }
});

test("lists and tuples are written with commas between their items", () => {
  const list = (items: string[]) =>
    written((writer) => {
      writer.raw("x");
      writer.list(items, (item) => writer.tuple([item]));
    }).toString();
  expect(list([])).toBe("x[]");
  expect(list(["a"])).toBe('x[("a")]');
  expect(list(["b", "a"])).toBe('x[("b"),("a")]');
  expect(written((writer) => writer.tuple([])).toString()).toBe("()");
});

test("a backslash far ahead is searched once, not once for each string", async () => {
  const text = (size: number) => `[${Array.from({ length: size }, (_, i) => `"${i}"`).join(",")},"\\n"]`;
  await expectLinear(64_000, (size) => reader(text(size)).set("item"));
});
