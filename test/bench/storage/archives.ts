/** Writes generated files as archives, and as a folder on disk. */

import { closeSync, mkdirSync, openSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { utf8 } from "../../../src/bytes.ts";
import { NarWriter } from "../../../src/nix/nar-writer.ts";
import { directoryName, type FileSet, fileName, filePath } from "./small-files.ts";

export function writeNar(path: string, set: FileSet): void {
  withOutput(path, (write) => {
    const writer = new NarWriter(write);
    writer.directory();
    for (let i = 0; i < set.count; i++) {
      if (i % set.perDirectory === 0) {
        if (i > 0) writer.leave();
        writer.entry(utf8(directoryName(i, set)));
        writer.directory();
      }
      writer.entry(utf8(fileName(i, set)));
      const content = set.content(i);
      writer.file(content.length, false);
      writer.content(content);
      writer.endFile();
    }
    writer.leave();
    writer.leave();
    writer.end();
  });
}

/** Writes the NAR of a single file, as `nix-store --dump` does. The content comes in pieces. */
export function writeFileNar(path: string, size: number, pieces: Iterable<Uint8Array>): void {
  withOutput(path, (write) => {
    const writer = new NarWriter(write);
    writer.file(size, false);
    for (const piece of pieces) writer.content(piece);
    writer.endFile();
    writer.end();
  });
}

/** Writes a tar archive whose top-level entry is `tree`. */
export function writeTar(path: string, set: FileSet): void {
  withOutput(path, (write) => {
    write(tarHeader("tree/", 0, "5"));
    for (let i = 0; i < set.count; i++) {
      if (i % set.perDirectory === 0) write(tarHeader(`tree/${directoryName(i, set)}/`, 0, "5"));
      const content = set.content(i);
      write(tarHeader(`tree/${filePath(i, set)}`, content.length, "0"));
      write(content);
      write(new Uint8Array(-content.length & 511));
    }
    write(new Uint8Array(1024));
  });
}

export function writeFolder(path: string, set: FileSet): void {
  mkdirSync(path);
  for (let i = 0; i < set.count; i++) {
    if (i % set.perDirectory === 0) mkdirSync(join(path, directoryName(i, set)));
    writeFileSync(join(path, filePath(i, set)), set.content(i));
  }
}

/** Creates a header of POSIX ustar. */
function tarHeader(name: string, size: number, type: "0" | "5"): Buffer {
  const header = Buffer.alloc(512);
  const octal = (value: number, at: number, length: number) =>
    header.write(value.toString(8).padStart(length - 1, "0"), at, "latin1");
  header.write(name, 0, 100, "latin1");
  octal(type === "5" ? 0o755 : 0o644, 100, 8);
  octal(0, 108, 8);
  octal(0, 116, 8);
  octal(size, 124, 12);
  octal(1, 136, 12);
  header.write(`${" ".repeat(8)}${type}`, 148, "latin1");
  header.write("ustar\x0000", 257, "latin1");
  octal(
    header.reduce((sum, byte) => sum + byte, 0),
    148,
    7,
  );
  return header;
}

/** Opens a file for `produce`, and collects small writes. */
function withOutput(path: string, produce: (write: (bytes: Uint8Array) => void) => void): void {
  const file = openSync(path, "w");
  const buffer = Buffer.alloc(1024 * 1024);
  let used = 0;
  const flush = (): void => {
    for (let from = 0; from < used; ) from += writeSync(file, buffer, from, used - from);
    used = 0;
  };
  try {
    produce((bytes) => {
      for (let from = 0; from < bytes.length; ) {
        const part = bytes.subarray(from, from + buffer.length - used);
        buffer.set(part, used);
        used += part.length;
        from += part.length;
        if (used === buffer.length) flush();
      }
    });
    flush();
  } finally {
    closeSync(file);
  }
}
