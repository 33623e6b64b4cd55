import { describe, expect, it } from "vitest";
import { concatBytes, equalBytes, utf8 } from "../../src/bytes.ts";
import { isStoreError } from "../../src/error.ts";
import { type NarHandler, NarParser } from "../../src/nix/nar-parser.ts";
import { NarWriter } from "../../src/nix/nar-writer.ts";
import { fixture } from "./fixture.ts";

const invalid = expect.objectContaining({ code: "invalid" });
const NARS = ["tree.nar", "directory.nar", "executable.nar", "file.nar", "symlink.nar", "ls/plain.nar"];

/** Makes a handler that records its calls. Content is joined; bytes become latin-1 text. */
function record(events: unknown[]): NarHandler {
  const text = (bytes: Uint8Array) => Buffer.from(bytes).toString("latin1");
  let content: Uint8Array[] = [];
  return {
    directory: () => events.push("directory"),
    entry: (name) => events.push(["entry", text(name)]),
    leave: () => events.push("leave"),
    file: (size, executable) => events.push(["file", size, executable]),
    content: (bytes) => content.push(bytes.slice()),
    endFile: () => {
      events.push(["content", text(concatBytes(content))]);
      content = [];
    },
    symlink: (target) => events.push(["symlink", text(target)]),
  };
}

const IGNORE = record([]);

function rewrite(chunks: Iterable<Uint8Array>): Uint8Array {
  const out: Uint8Array[] = [];
  const writer = new NarWriter((bytes) => out.push(bytes));
  const parser = new NarParser(writer);
  for (const chunk of chunks) parser.push(chunk);
  parser.end();
  writer.end();
  return concatBytes(out);
}

function token(value: string | Uint8Array, length?: bigint): Uint8Array {
  const bytes = typeof value === "string" ? utf8(value) : value;
  const padded = new Uint8Array(8 + Math.ceil(bytes.length / 8) * 8);
  new DataView(padded.buffer).setBigUint64(0, length ?? BigInt(bytes.length), true);
  padded.set(bytes, 8);
  return padded;
}

function nar(...tokens: (string | Uint8Array)[]): Uint8Array {
  return concatBytes(["nix-archive-1", ...tokens].map((part) => (typeof part === "string" ? token(part) : part)));
}

function parse(bytes: Uint8Array, handler: NarHandler = IGNORE, maxDepth?: number): void {
  const parser = new NarParser(handler, { maxDepth });
  parser.push(bytes);
  parser.end();
}

const FILE = ["(", "type", "regular", "contents", "x", ")"];
const entry = (name: string | Uint8Array, ...node: string[]) => ["entry", "(", "name", token(name), "node", ...node, ")"];
const directory = (...entries: (string | Uint8Array)[][]) => nar("(", "type", "directory", ...entries.flat(), ")");

describe("NAR parser", () => {
  it("reports what the archive holds", () => {
    const events: unknown[] = [];
    parse(fixture("tree.nar"), record(events));
    expect(events).toEqual([
      "directory",
      ...[
        ["entry", "Z"],
        ["file", 1, false],
        ["content", "a"],
      ],
      ...[["entry", "bin"], "directory"],
      ...[
        ["entry", "doc"],
        ["symlink", "../share/doc"],
      ],
      ...[["entry", "hello"], ["file", 21, true], ["content", "#!/bin/sh\necho hello\n"], "leave"],
      ...[
        ["entry", "dangling"],
        ["symlink", "/nowhere"],
      ],
      ...[
        ["entry", "empty"],
        ["file", 0, false],
        ["content", ""],
      ],
      ...[["entry", "empty-dir"], "directory", "leave"],
      ...[
        ["entry", "empty-executable"],
        ["file", 0, true],
        ["content", ""],
      ],
      ...[
        ["entry", "new\nline"],
        ["file", 1, false],
        ["content", "e"],
      ],
      ...[["entry", "share"], "directory", ["entry", "doc"], "directory"],
      ...[
        ["entry", "README"],
        ["file", 5, false],
        ["content", "text\n"],
      ],
      ...[["entry", "aligned"], ["file", 8, false], ["content", "eight by"], "leave", "leave"],
      ...[
        ["entry", "\xef\xbf\xbd"],
        ["file", 1, false],
        ["content", "c"],
      ],
      ...[
        ["entry", "\xf0\x9f\x92\xbe"],
        ["file", 1, false],
        ["content", "d"],
      ],
      ...[
        ["entry", "\xff\xfe"],
        ["file", 1, false],
        ["content", "b"],
      ],
      "leave",
    ]);
  });

  it.each(NARS)("reads %s in pieces of any length, and writes it again byte for byte", (name) => {
    const bytes = fixture(name);
    for (let at = 0; at <= bytes.length; at++) {
      expect(equalBytes(rewrite([bytes.subarray(0, at), bytes.subarray(at)]), bytes), `split at ${at}`).toBe(true);
    }
    expect(rewrite(Array.from(bytes, (byte) => Uint8Array.of(byte)))).toEqual(bytes);
  });

  it.each(NARS)("refuses every beginning of %s", (name) => {
    const bytes = fixture(name);
    for (let length = 0; length < bytes.length; length++) expect(() => parse(bytes.subarray(0, length))).toThrow(invalid);
  });

  it("refuses each flipped bit, unless the result is another valid archive", () => {
    const bytes = fixture("tree.nar");
    let accepted = 0;
    for (let at = 0; at < bytes.length; at++) {
      for (let bit = 0; bit < 8; bit++) {
        const changed = bytes.slice();
        changed[at] = (changed[at] as number) ^ (1 << bit);
        try {
          if (!equalBytes(rewrite([changed]), changed)) expect.fail(`accepted, but not the same, at ${at}, bit ${bit}`);
          accepted++;
        } catch (error) {
          if (!isStoreError(error, "invalid")) throw error;
        }
      }
    }
    // Bits of content and targets may change, and bits of names if the order stays right.
    expect(accepted).toBeGreaterThan(8 * (21 + 5 + 8 + 4));
    expect(accepted).toBeLessThan(bytes.length);
  });

  it("passes on content as views of the chunk, and names as copies", () => {
    const bytes = nar("(", "type", "directory", ...entry("a", ...FILE), ")");
    const views: Uint8Array[] = [];
    const names: Uint8Array[] = [];
    parse(bytes, { ...IGNORE, content: (view) => views.push(view), entry: (name) => names.push(name) });
    expect(views.map((view) => view.buffer)).toEqual([bytes.buffer]);
    bytes.fill(0);
    expect(names).toEqual([utf8("a")]);
  });

  it("counts the bytes it read, so content offsets are known at the start of a file", () => {
    const bytes = nar(...FILE);
    const offsets: number[] = [];
    const parser: NarParser = new NarParser({ ...IGNORE, file: () => offsets.push(parser.bytesRead) });
    for (const byte of bytes) parser.push(Uint8Array.of(byte));
    parser.end();
    expect(bytes[offsets[0] as number]).toBe("x".charCodeAt(0));
    expect(parser.bytesRead).toBe(bytes.length);
  });

  it.each<[string, Uint8Array]>([
    ["another magic", concatBytes(["nix-archive-2", ...FILE].map((text) => token(text)))],
    ["a node without a type", nar("(", ")")],
    ["an unknown type", nar("(", "type", "device", ")")],
    ["a file without contents", nar("(", "type", "regular", ")")],
    ["a file that is executable twice", nar("(", "type", "regular", "executable", "", "executable", "", "contents", "x", ")")],
    ["an executable flag with a value", nar("(", "type", "regular", "executable", "1", "contents", "x", ")")],
    ["executable after contents", nar("(", "type", "regular", "contents", "x", "executable", "", ")")],
    ["contents twice", nar("(", "type", "regular", "contents", "x", "contents", "x", ")")],
    ["a symlink without a target", nar("(", "type", "symlink", ")")],
    ["an empty target", nar("(", "type", "symlink", "target", "", ")")],
    ["a target with a zero byte", nar("(", "type", "symlink", "target", "a\0b", ")")],
    ["a target of 4096 bytes", nar("(", "type", "symlink", "target", "t".repeat(4096), ")")],
    ["an entry without a name", nar("(", "type", "directory", "entry", "(", "node", ...FILE, ")", ")")],
    ["an entry without a node", nar("(", "type", "directory", "entry", "(", "name", "a", ")", ")")],
    ["an entry that does not end", nar("(", "type", "directory", "entry", "(", "name", "a", "node", ...FILE, ")")],
    ["an empty name", directory(entry("", ...FILE))],
    ["the name .", directory(entry(".", ...FILE))],
    ["the name ..", directory(entry("..", ...FILE))],
    ["a name with a slash", directory(entry("a/b", ...FILE))],
    ["a name with a zero byte", directory(entry("a\0", ...FILE))],
    ["a name of 256 bytes", directory(entry("n".repeat(256), ...FILE))],
    ["a name twice", directory(entry("a", ...FILE), entry("a", ...FILE))],
    ["names that descend", directory(entry("b", ...FILE), entry("a", ...FILE))],
    ["names in the order of UTF-16", directory(entry("\u{1f4be}", ...FILE), entry("\ufffd", ...FILE))],
    ["a second root", concatBytes([nar(...FILE), nar(...FILE)])],
    ["a zero byte after the end", concatBytes([nar(...FILE), new Uint8Array(1)])],
    ["a token after the end", nar(...FILE, ")")],
    ["a name of 2^40 bytes", nar("(", "type", "directory", "entry", "(", "name", token("a", 1n << 40n))],
    ["a keyword of 2^64 - 1 bytes", nar("(", "type", token("regular", (1n << 64n) - 1n))],
    ["a file of 2^53 bytes", nar("(", "type", "regular", "contents", token("x", 1n << 53n))],
    ["a file of 2^64 - 1 bytes", nar("(", "type", "regular", "contents", token("x", (1n << 64n) - 1n))],
  ])("refuses %s", (_, bytes) => {
    expect(() => parse(bytes)).toThrow(invalid);
    const parser = new NarParser(IGNORE);
    expect(() => {
      for (const byte of bytes) parser.push(Uint8Array.of(byte));
      parser.end();
    }).toThrow(invalid);
  });

  it("accepts input just within the limits", () => {
    parse(directory(entry("...", ...FILE), entry("n".repeat(255), ...FILE)));
    parse(nar("(", "type", "symlink", "target", "t".repeat(4095), ")"));
    const sizes: number[] = [];
    const parser = new NarParser({ ...IGNORE, file: (size) => sizes.push(size) });
    parser.push(nar("(", "type", "regular", "contents", token("x", (1n << 53n) - 1n)));
    expect(sizes).toEqual([Number.MAX_SAFE_INTEGER]);
  });

  it("limits the depth of directories", () => {
    const nested = (depth: number) => {
      const open = Array.from({ length: depth - 1 }, () => ["(", "type", "directory", "entry", "(", "name", "d", "node"]).flat();
      const close = Array.from({ length: depth - 1 }, () => [")", ")"]).flat();
      return nar(...open, "(", "type", "directory", ")", ...close);
    };
    parse(nested(1024));
    expect(() => parse(nested(1025))).toThrow(invalid);
    parse(nested(3), IGNORE, 3);
    expect(() => parse(nested(4), IGNORE, 3)).toThrow(invalid);
  });

  it("names the entry and the offset in errors", () => {
    const bytes = directory(entry("a", "(", "type", "directory", ...(entry("b", "(", "type", "device") as string[])));
    const at = Buffer.from(bytes).indexOf("device") - 8;
    expect(() => parse(bytes)).toThrow(expect.objectContaining({ message: expect.stringMatching(`"a/b".*\\b${at}\\b`) }));
  });

  it("keeps failing after an error", () => {
    const parser = new NarParser(IGNORE);
    expect(() => parser.push(token("nix-archive-2"))).toThrow(invalid);
    expect(() => parser.push(nar(...FILE))).toThrow(invalid);
    expect(() => parser.end()).toThrow(invalid);
  });

  it("rethrows an error of the handler, and then keeps failing", () => {
    const reason = new Error("full");
    const parser = new NarParser({
      ...IGNORE,
      file: () => {
        throw reason;
      },
    });
    expect(() => parser.push(nar(...FILE))).toThrow(reason);
    expect(() => parser.end()).toThrow(reason);
  });

  it("accepts nothing after end()", () => {
    const parser = new NarParser(IGNORE);
    parser.push(nar(...FILE));
    parser.end();
    expect(() => parser.push(new Uint8Array(0))).toThrow(invalid);
  });
});
