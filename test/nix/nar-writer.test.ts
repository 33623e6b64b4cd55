import { describe, expect, it } from "vitest";
import { concatBytes, utf8 } from "../../src/bytes.ts";
import { hashBytes } from "../../src/nix/hash-bytes.ts";
import { NAR_DIRECTORY_SIZE, NAR_HEADER_SIZE, narEntrySize, narFileSize, narSymlinkSize } from "../../src/nix/nar-size.ts";
import { NarWriter } from "../../src/nix/nar-writer.ts";
import { encodeNixbase32 } from "../../src/nix/nixbase32.ts";
import { fixture, fixtureText } from "./fixture.ts";

const invalid = expect.objectContaining({ code: "invalid" });
const corrupt = expect.objectContaining({ code: "corrupt" });

function write(calls: (writer: NarWriter) => void): Uint8Array {
  const out: Uint8Array[] = [];
  const writer = new NarWriter((bytes) => out.push(bytes));
  calls(writer);
  writer.end();
  const bytes = concatBytes(out);
  expect(writer.bytesWritten).toBe(bytes.length);
  return bytes;
}

function writeFile(writer: NarWriter, content: Uint8Array, executable = false): void {
  writer.file(content.length, executable);
  writer.content(content);
  writer.endFile();
}

describe("NAR writer", () => {
  it("writes each kind of root as Nix does", () => {
    expect(write((writer) => writeFile(writer, utf8("text\n")))).toEqual(fixture("file.nar"));
    expect(write((writer) => writeFile(writer, utf8("#!/bin/sh\necho hello\n"), true))).toEqual(fixture("executable.nar"));
    expect(write((writer) => writer.symlink(utf8("/nowhere")))).toEqual(fixture("symlink.nar"));
    const empty = write((writer) => {
      writer.directory();
      writer.leave();
    });
    expect(empty).toEqual(fixture("directory.nar"));
  });

  it("writes 100 nested directories as Nix does", async () => {
    const deep = write((writer) => {
      for (let depth = 0; depth < 99; depth++) {
        writer.directory();
        writer.entry(utf8("d"));
      }
      writer.directory();
      writer.entry(utf8("leaf"));
      writeFile(writer, utf8("deep"));
      for (let depth = 0; depth < 100; depth++) writer.leave();
    });
    expect(deep.length).toBe(Number(fixtureText("deep.size")));
    expect(encodeNixbase32(await hashBytes("sha256", deep))).toBe(fixtureText("deep.sha256").trim());
  });

  it("writes the same for content in any pieces", () => {
    const content = Uint8Array.from({ length: 200_001 }, (_, i) => i * 7);
    const whole = write((writer) => writeFile(writer, content));
    for (const step of [1, 1000, 20_000, 70_000]) {
      const pieces = write((writer) => {
        writer.file(content.length, false);
        for (let at = 0; at < content.length; at += step) writer.content(content.subarray(at, at + step));
        writer.content(new Uint8Array(0));
        writer.endFile();
      });
      expect(Buffer.compare(pieces, whole)).toBe(0);
    }
    expect(Buffer.compare(whole.subarray(96, 96 + content.length), content)).toBe(0);
  });

  it("passes on large content without a copy, and joins small writes in buffers of their own", () => {
    const out: Uint8Array[] = [];
    const writer = new NarWriter((bytes) => out.push(bytes));
    const large = new Uint8Array(100_000);
    writer.directory();
    for (let i = 0; i < 10_000; i++) {
      writer.entry(utf8(String(i).padStart(5, "0")));
      writeFile(writer, utf8("small"));
    }
    writer.entry(utf8("large"));
    writeFile(writer, large);
    writer.leave();
    writer.end();
    expect(out).toContain(large);
    expect(new Set(out.map((bytes) => bytes.buffer)).size).toBe(out.length);
    expect(out.length).toBeLessThan(60);
  });

  it("flushes early on request, and continues", () => {
    const out: Uint8Array[] = [];
    const writer = new NarWriter((bytes) => out.push(bytes));
    writer.flush();
    writer.flush();
    expect(out.length).toBe(1);
    writeFile(writer, utf8("text\n"));
    writer.end();
    expect(concatBytes(out)).toEqual(fixture("file.nar"));
  });

  it("throws `corrupt` if content is shorter or longer than declared", () => {
    const writer = () => new NarWriter(() => {});
    const short = writer();
    short.file(3, false);
    short.content(utf8("ab"));
    expect(() => short.endFile()).toThrow(corrupt);
    expect(() => short.content(utf8("c"))).toThrow(invalid);
    const long = writer();
    long.file(3, false);
    expect(() => long.content(utf8("abcd"))).toThrow(corrupt);
    expect(() => long.endFile()).toThrow(invalid);
  });

  it.each<[string, (writer: NarWriter) => void]>([
    ["end() without a root", (writer) => writer.end()],
    ["an entry outside a directory", (writer) => writer.entry(utf8("a"))],
    ["leave() at the root", (writer) => writer.leave()],
    ["content outside a file", (writer) => writer.content(utf8("a"))],
    ["a second root", (writer) => [writer.symlink(utf8("a")), writer.symlink(utf8("a"))]],
    ["an entry without a node", (writer) => [writer.directory(), writer.entry(utf8("a")), writer.leave()]],
    ["a node without an entry", (writer) => [writer.directory(), writer.symlink(utf8("a"))]],
    ["a directory that is open at the end", (writer) => [writer.directory(), writer.end()]],
    ["a file that is open at the end", (writer) => [writer.file(0, false), writer.end()]],
    ["end() twice", (writer) => [writer.symlink(utf8("a")), writer.end(), writer.end()]],
    ["a negative size", (writer) => writer.file(-1, false)],
    ["half a byte", (writer) => writer.file(0.5, false)],
    ["2^53 bytes", (writer) => writer.file(2 ** 53, false)],
    ["an empty target", (writer) => writer.symlink(utf8(""))],
    ["a target with a zero byte", (writer) => writer.symlink(utf8("a\0"))],
    ["a target of 4096 bytes", (writer) => writer.symlink(new Uint8Array(4096).fill(65))],
    ...["", ".", "..", "a/b", "a\0", "n".repeat(256)].map((name): [string, (writer: NarWriter) => void] => [
      `the name ${JSON.stringify(name.slice(0, 8))}`,
      (writer) => [writer.directory(), writer.entry(utf8(name))],
    ]),
    ...["a", "Z"].map((second): [string, (writer: NarWriter) => void] => [
      `${second} after a`,
      (writer) => [writer.directory(), writer.entry(utf8("a")), writer.symlink(utf8("t")), writer.entry(utf8(second))],
    ]),
  ])("refuses %s", (_, calls) => {
    expect(() => calls(new NarWriter(() => {}))).toThrow(invalid);
  });
});

describe("NAR sizes", () => {
  it("add up to the size of the NAR that Nix writes", () => {
    expect(NAR_HEADER_SIZE + narFileSize(5, false)).toBe(fixture("file.nar").length);
    expect(NAR_HEADER_SIZE + narFileSize(21, true)).toBe(fixture("executable.nar").length);
    expect(NAR_HEADER_SIZE + narSymlinkSize(8)).toBe(fixture("symlink.nar").length);
    expect(NAR_HEADER_SIZE + NAR_DIRECTORY_SIZE).toBe(fixture("directory.nar").length);
    const deep = 100 * NAR_DIRECTORY_SIZE + 99 * narEntrySize(1) + narEntrySize(4) + narFileSize(4, false);
    expect(NAR_HEADER_SIZE + deep).toBe(Number(fixtureText("deep.size")));
  });
});
