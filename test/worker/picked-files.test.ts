import { describe, expect, test, vi } from "vitest";
import { utf8 } from "../../src/bytes.ts";
import { type PickedFile, readPicked, readTogether } from "../../src/worker/picked-files.ts";

function picked(content: string, change: Partial<Pick<File, "size" | "stream">> = {}, name = content): PickedFile {
  const file = new File([content], name);
  for (const [key, value] of Object.entries(change)) Object.defineProperty(file, key, { value });
  return { path: [utf8("in"), utf8(name)], file };
}

const lost = (): ReadableStream<Uint8Array<ArrayBuffer>> =>
  new ReadableStream({ start: (controller) => controller.error(new DOMException("gone", "NotFoundError")) });

describe("short files that are read together", () => {
  test("have their contents, in order", async () => {
    const contents = ["first", "", "second", "third", ""];
    expect(await readTogether(contents.map((content) => picked(content)))).toEqual(contents.map(utf8));
    expect(await readTogether([])).toEqual([]);
  });

  test("are read as one Blob: only empty ones are read by themselves", async () => {
    const files = ["first", "", "second"].map((content) => picked(content));
    const streams = files.map(({ file }) => vi.spyOn(file, "stream"));
    await readTogether(files);
    expect(streams.map((stream) => stream.mock.calls.length)).toEqual([0, 1, 0]);
  });

  test.each([
    ["longer", 4],
    ["shorter", 6],
  ])("are `unavailable` if one is %s than it was; the error names it", async (_, size) => {
    const files = [picked("first"), picked("12345", { size }, "changed"), picked("last")];
    await expect(readTogether(files)).rejects.toMatchObject({
      code: "unavailable",
      message: expect.stringContaining("in/changed"),
    });
  });

  test("are `unavailable` if an empty one is gone", async () => {
    const files = [picked("first"), picked("", { stream: lost }, "gone")];
    await expect(readTogether(files)).rejects.toMatchObject({
      code: "unavailable",
      message: expect.stringContaining("in/gone"),
      cause: { name: "NotFoundError" },
    });
  });

  test("are read one by one if the Blob can't be read", async () => {
    const Original = Blob;
    vi.stubGlobal(
      "Blob",
      class extends Original {
        override async arrayBuffer(): Promise<ArrayBuffer> {
          throw new DOMException("one of them is gone", "NotReadableError");
        }
      },
    );
    const files = [picked("first"), picked("second")];
    // A file is a Blob of its own class, and can be read.
    const reading = readTogether(files);
    vi.unstubAllGlobals();
    expect(await reading).toEqual([utf8("first"), utf8("second")]);
    const failing = [picked("first"), picked("second", { stream: lost }), picked("third", { size: 6 })];
    await expect(readTogether(failing)).rejects.toMatchObject({ message: expect.stringContaining("in/second") });
  });
});

describe("a file that is read by itself", () => {
  const read = async (file: PickedFile, signal?: AbortSignal): Promise<string> => {
    const pieces: Uint8Array[] = [];
    for await (const bytes of readPicked(file, signal)) pieces.push(bytes);
    return new TextDecoder().decode(pieces[0]);
  };

  test("has its content", async () => {
    expect(await read(picked("content"))).toBe("content");
  });

  test("is `unavailable` if it has changed, under its path", async () => {
    const reading = read(picked("content", { size: 8 }));
    await expect(reading).rejects.toMatchObject({ code: "unavailable", message: expect.stringContaining("in/content") });
  });

  test("ends with the reason of an abort", async () => {
    await expect(read(picked("content", { stream: () => new ReadableStream() }), AbortSignal.abort("enough"))).rejects.toBe(
      "enough",
    );
  });
});
