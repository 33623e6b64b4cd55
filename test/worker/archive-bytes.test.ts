import { describe, expect, test } from "vitest";
import { ReadBuffers } from "../../src/byte-stream.ts";
import { concatBytes, utf8 } from "../../src/bytes.ts";
import type { Progress } from "../../src/progress.ts";
import type { ArchiveSource } from "../../src/thread/import-api.ts";
import { archiveBytes } from "../../src/worker/archive-bytes.ts";

const port = { port: undefined as unknown as MessagePort } satisfies ArchiveSource;

async function* parts(...all: string[]): AsyncGenerator<Uint8Array> {
  for (const part of all) yield utf8(part);
}

function streamOf(pieces: AsyncIterator<Uint8Array>): ReadableStream<Uint8Array> {
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await pieces.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
  });
}

async function read(stream: ReadableStream<Uint8Array>, source: ArchiveSource, name: unknown = "name", signal?: AbortSignal) {
  const told: Progress[] = [];
  const pieces: Uint8Array[] = [];
  const options = { signal, onProgress: (progress: Progress) => told.push(progress) };
  for await (const bytes of archiveBytes(stream, source, name, new ReadBuffers(), options)) pieces.push(bytes.slice());
  return { content: concatBytes(pieces), told };
}

describe("the bytes of an archive", () => {
  test("from a stream are counted, without a total", async () => {
    const { content, told } = await read(streamOf(parts("abc", "de")), port);
    expect(content).toEqual(utf8("abcde"));
    expect(told).toEqual([
      { phase: "reading", unit: "bytes", loaded: 3, total: undefined },
      { phase: "reading", unit: "bytes", loaded: 5, total: undefined },
    ]);
  });

  test("from a Blob are counted with its size as the total, through a byte stream or another one", async () => {
    const blob = new Blob(["abcde"]);
    for (const stream of [blob.stream(), streamOf(parts("abc", "de"))]) {
      const { content, told } = await read(stream, { blob });
      expect(content).toEqual(utf8("abcde"));
      expect(told.at(-1)).toEqual({ phase: "reading", unit: "bytes", loaded: 5, total: 5 });
    }
  });

  test("are not read, and the stream is not locked, before the first is asked for", async () => {
    const stream = streamOf(parts("abc"));
    const bytes = archiveBytes(stream, port, "name", new ReadBuffers(), {});
    expect(stream.locked).toBe(false);
    await bytes.next();
    expect(stream.locked).toBe(true);
  });

  test("end with the reason of an abort", async () => {
    const reading = read(new ReadableStream(), port, "name", AbortSignal.abort("enough"));
    await expect(reading).rejects.toBe("enough");
  });
});

describe("an error names", () => {
  const failing = (): ReadableStream<Uint8Array> =>
    new ReadableStream({ start: (controller) => controller.error(new TypeError("lost")) });

  test.each<[string, ArchiveSource, unknown, string]>([
    ["the file", { blob: new File(["abc"], "archive.tar") }, "name", 'file "archive.tar"'],
    ["the Blob by the name of the import", { blob: new Blob(["abc"]) }, "name", 'the Blob for "name"'],
    ["a file without a name like a Blob", { blob: new File(["abc"], "") }, "name", 'the Blob for "name"'],
    ["the stream by the name of the import", port, "name", 'the stream for "name"'],
    ["a stream without a name", port, null, "the stream"],
    ["a stream with a name that is no text", port, { name: "x" }, "the stream"],
  ])("%s", async (_, source, name, label) => {
    await expect(read(failing(), source, name)).rejects.toMatchObject({
      code: "unavailable",
      message: expect.stringMatching(new RegExp(`^${label} (can't be read|failed)`)),
    });
  });

  test("a Blob that is longer or shorter than it was", async () => {
    for (const content of ["abcdef", "abc"])
      await expect(read(streamOf(parts(content)), { blob: new Blob(["abcde"]) })).rejects.toMatchObject({ code: "unavailable" });
  });
});
