import { createReadStream } from "node:fs";
import { Readable } from "node:stream";
import { describe, expect, test } from "vitest";
import { utf8 } from "../../src/bytes.ts";
import { StoreError } from "../../src/error.ts";
import { filePieces, pathPieces, readBytes, readText } from "../../src/node/input-file.ts";
import { openFilesIn, tellsOpenFiles } from "./open-files.ts";

const streamOf = (...pieces: (Uint8Array | string)[]): Readable => Readable.from(pieces.map((piece) => Buffer.from(piece)));

test("the pieces of a stream are joined", async () => {
  expect(await readBytes(streamOf("ab", "", "c"), "x", 3)).toEqual(utf8("abc"));
  expect(await readText(streamOf(Uint8Array.of(0xc3), Uint8Array.of(0xa4)), "x", 2)).toBe("ä");
  expect(await readText(streamOf(), "x", 0)).toBe("");
});

describe("is refused", () => {
  const invalid = { name: "StoreError", code: "invalid", message: expect.stringContaining("the/file") };

  test("what is longer than the limit, and the stream is closed", async () => {
    const stream = streamOf("ab", "cd", "ef");
    await expect(readBytes(stream, "the/file", 3)).rejects.toMatchObject(invalid);
    expect(stream.destroyed).toBe(true);
  });

  test("text that is not UTF-8", async () => {
    await expect(readText(streamOf(Uint8Array.of(0xff)), "the/file", 10)).rejects.toMatchObject(invalid);
  });

  test("a stream of texts", async () => {
    const texts = Readable.from(["a text"]).setEncoding("utf8");
    await expect(readBytes(texts, "the/file", 10)).rejects.toMatchObject(invalid);
  });
});

test("a file is opened on the first read, and closed if its reader stops", async () => {
  // Nothing reads this missing file, so there is no error.
  pathPieces("/nowhere/at-all");
  await expect(pathPieces("/nowhere/at-all").next()).rejects.toMatchObject({ name: "StoreError", code: "not-found" });
  const sizes: number[] = [];
  for await (const piece of pathPieces(import.meta.filename, { pieceSize: 100 })) {
    sizes.push(piece.length);
    if (sizes.length === 2) break;
  }
  expect(sizes).toEqual([100, 100]);
  if (tellsOpenFiles) await expect.poll(() => openFilesIn(import.meta.filename)).toBe(0);
});

test("an error of the file names it; a StoreError stays as it is", async () => {
  const missing = filePieces(createReadStream("/nowhere/at-all"), "the/file").next();
  await expect(missing).rejects.toMatchObject({
    name: "StoreError",
    code: "not-found",
    message: expect.stringContaining("the/file"),
  });
  const ours = new StoreError("unavailable", "the connection was cut");
  const broken = Readable.from(
    (async function* () {
      yield Buffer.from("a");
      throw ours;
    })(),
  );
  await expect(readBytes(broken, "the/file", 10)).rejects.toBe(ours);
});
