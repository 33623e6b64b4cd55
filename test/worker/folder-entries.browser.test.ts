import { describe, expect, test } from "vitest";
import { createMemoryStore } from "../../src/backends/memory.ts";
import { decodeUtf8, utf8 } from "../../src/bytes.ts";
import { BlobUploader } from "../../src/castore/blob-uploader.ts";
import { digestOf } from "../../src/castore/digest.ts";
import { StoreError } from "../../src/error.ts";
import { folderEntries } from "../../src/worker/folder-entries.ts";
import { pseudoRandom } from "../conformance/content.ts";
import { hasOpfs } from "../conformance/packed-backend.browser.ts";

const OPFS = await hasOpfs();

/** A file that is long enough to be streamed, and whose stream fails because the file is gone. */
class LostFile extends File {
  constructor() {
    super([new Uint8Array(300 * 1024)], "lost");
  }

  override stream(): ReadableStream<Uint8Array<ArrayBuffer>> {
    return new ReadableStream({
      pull(controller) {
        controller.error(new DOMException("it has changed", "NotReadableError"));
      },
    });
  }
}

/** A file with a `size` that differs from the length of its content. */
class ChangedFile extends File {
  override get size(): number {
    return super.size + 4;
  }
}

async function readFolder(file: File, uploader: BlobUploader, signal?: AbortSignal): Promise<void> {
  for await (const _ of folderEntries({ files: [{ path: "in/lost", file }] }, uploader, { signal }));
}

const uploader = (): BlobUploader => new BlobUploader(createMemoryStore().blobs);

test("a long file that can't be read is `unavailable`", async () => {
  const failure = await readFolder(new LostFile(), uploader()).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(StoreError);
  expect(failure).toMatchObject({ code: "unavailable", cause: { name: "NotReadableError" } });
});

test("the reason of an abort and an error of the uploader are passed on unchanged", async () => {
  const controller = new AbortController();
  const reason = { why: "enough" };
  const silent = new File([new Uint8Array(300 * 1024)], "silent");
  silent.stream = () => new ReadableStream();
  const reading = readFolder(silent, uploader(), controller.signal);
  setTimeout(() => controller.abort(reason), 20);
  await expect(reading).rejects.toBe(reason);

  const full = uploader();
  full.drain = () => Promise.reject(new StoreError("quota", "no room left"));
  await expect(readFolder(new File([new Uint8Array(300 * 1024)], "fine"), full)).rejects.toMatchObject({ code: "quota" });
});

test("files come in order with their content, although several are read at the same time", async () => {
  const contents = Array.from({ length: 300 }, (_, i) => pseudoRandom(i % 70 === 69 ? 300 * 1024 + i : (i * 7919) % 40_000, i + 1));
  const files = contents.map((bytes, i) => ({
    path: `in/${i % 3}/${String(i).padStart(3, "0")}`,
    file: new File([bytes.slice()], String(i)),
  }));
  const store = createMemoryStore();
  const gathering = new BlobUploader(store.blobs);
  const found = [];
  const told: number[] = [];
  const onProgress = ({ loaded }: { loaded: number }): unknown => told.push(loaded);
  for await (const entry of folderEntries({ files }, gathering, { onProgress })) found.push(entry);
  await gathering.flush();
  const size = contents.reduce((sum, { length }) => sum + length, 0);
  expect(told.at(-1)).toBe(size);
  const inOrder = [0, 1, 2].map((rest) => files.filter((_, i) => i % 3 === rest));
  expect(found.map(({ path }) => path.map(decodeUtf8).join("/"))).toEqual([
    ...inOrder.flatMap((some, i) => [...some.map(({ path }) => path), `in/${i}`]),
    "in",
    "",
  ]);
  const digests = found.flatMap((entry) =>
    entry.kind === "file" ? [[Number(decodeUtf8(entry.path.at(-1) ?? utf8(""))), entry.contents.digest]] : [],
  );
  expect(digests).toHaveLength(300);
  for (const [i, digest] of digests) expect(digest).toEqual(digestOf(contents[Number(i)] ?? utf8("none")));
});

/** Makes a file in the origin private file system, and returns a `File` from before `change`. */
async function changedFile(content: string, change: (handle: FileSystemFileHandle) => Promise<void>): Promise<File> {
  const root = await navigator.storage.getDirectory();
  const name = crypto.randomUUID();
  const handle = await root.getFileHandle(name, { create: true });
  const writable = await handle.createWritable();
  await writable.write(content);
  await writable.close();
  const file = await handle.getFile();
  await change(handle);
  return file;
}

async function overwrite(handle: FileSystemFileHandle, content: string): Promise<void> {
  const writable = await handle.createWritable();
  await writable.write(content);
  await writable.close();
}

async function expectNamed(file: File): Promise<void> {
  const files = [
    { path: "in/first", file: new File(["first"], "first") },
    { path: "in/changed", file },
    { path: "in/last", file: new File(["last"], "last") },
  ];
  const reading = (async () => {
    for await (const _ of folderEntries({ files }, uploader(), {}));
  })();
  await expect(reading).rejects.toMatchObject({ code: "unavailable", message: expect.stringContaining("in/changed") });
}

describe("the error for a changed file among others names it", () => {
  test.each([
    ["was full", "content"],
    ["was empty", ""],
  ])("one that %s", async (_, content) => {
    await expectNamed(new ChangedFile([content], "changed"));
  });

  const big = "0123456789".repeat(30 * 1024);
  describe.skipIf(!OPFS).each([
    ["short", "content"],
    ["long", big],
  ])("a %s one", (_, content) => {
    test.each<[string, (handle: FileSystemFileHandle) => Promise<void>]>([
      ["gone", async ({ name }) => (await navigator.storage.getDirectory()).removeEntry(name)],
      ["emptied", (handle) => overwrite(handle, "")],
      ["cut short", (handle) => overwrite(handle, content.slice(0, 3))],
      ["longer", (handle) => overwrite(handle, `${content}!`)],
      ["overwritten", (handle) => overwrite(handle, content.replaceAll("n", "m").replaceAll("1", "2"))],
    ])("%s", async (_, change) => {
      await expectNamed(await changedFile(content, change));
    });
  });
});
