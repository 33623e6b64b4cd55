import { expect, test } from "vitest";
import { createMemoryStore } from "../../src/backends/memory.ts";
import { BlobUploader } from "../../src/castore/blob-uploader.ts";
import { StoreError } from "../../src/error.ts";
import { folderEntries } from "../../src/worker/folder-entries.ts";

/** Long enough to be streamed, and gone when it is. */
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

async function readFolder(file: File, uploader: BlobUploader, signal?: AbortSignal): Promise<void> {
  for await (const _ of folderEntries({ files: [{ path: "in/lost", file }] }, uploader, { signal }));
}

const uploader = (): BlobUploader => new BlobUploader(createMemoryStore().blobs);

test("a long file that can't be read is unavailable, as a short one is", async () => {
  const failure = await readFolder(new LostFile(), uploader()).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(StoreError);
  expect(failure).toMatchObject({ code: "unavailable", cause: { name: "NotReadableError" } });
});

test("an abort, and an error of what takes the content, come out as they are", async () => {
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
