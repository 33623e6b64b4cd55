import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { concatBytes, utf8 } from "../../src/bytes.ts";
import { saveStream } from "../../src/elements/save.ts";
import type { Progress } from "../../src/index.ts";

/** More bytes than a download may have that is collected in memory. */
const LARGE = 32 * 1024 * 1024 + 1;

/** The names and contents of the offered downloads. */
const offered: { readonly name: string; readonly blob: Blob }[] = [];
const blobs = new Map<string, Blob>();

beforeEach(() => {
  vi.spyOn(URL, "createObjectURL").mockImplementation((blob) => {
    const url = `blob:test-${blobs.size}`;
    blobs.set(url, blob as Blob);
    return url;
  });
  // The real click would save a file on the machine that runs the tests.
  vi.spyOn(HTMLAnchorElement.prototype, "click").mockImplementation(function (this: HTMLAnchorElement) {
    offered.push({ name: this.download, blob: blobs.get(this.href) ?? new Blob() });
  });
});

afterEach(() => {
  offered.length = 0;
  blobs.clear();
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

function streamOf(...pieces: string[]): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      for (const piece of pieces) controller.enqueue(utf8(piece));
      controller.close();
    },
  });
}

/** A writable file that records its content. */
class FakeFile {
  readonly pieces: Uint8Array[] = [];
  ended: "closed" | "aborted" | undefined;

  async createWritable(): Promise<WritableStream<Uint8Array>> {
    return new WritableStream({
      write: (piece) => {
        this.pieces.push(piece);
      },
      close: () => {
        this.ended = "closed";
      },
      abort: () => {
        this.ended = "aborted";
      },
    });
  }

  async getFile(): Promise<Blob> {
    return new Blob([this.text]);
  }

  get text(): string {
    return new TextDecoder().decode(concatBytes(this.pieces));
  }
}

/** Replaces this site's file system. @param file undefined if the browser can't write files */
function stubStorage(file: FakeFile | undefined): void {
  const getFileHandle = vi.fn(async () => file ?? {});
  vi.stubGlobal("navigator", { storage: { getDirectory: async () => ({ getFileHandle }) } });
}

test("a small file is an ordinary download, with progress in bytes", async () => {
  vi.stubGlobal("showSaveFilePicker", () => expect.unreachable());
  const told: Progress[] = [];
  expect(await saveStream("a.nar", 11, () => streamOf("hello ", "world"), { onProgress: (progress) => told.push(progress) })).toBe(
    true,
  );
  expect(offered.map(({ name }) => name)).toEqual(["a.nar"]);
  expect(await offered[0]?.blob.text()).toBe("hello world");
  expect(told).toEqual([
    { phase: "saving", unit: "bytes", loaded: 6, total: 11 },
    { phase: "saving", unit: "bytes", loaded: 11, total: 11 },
  ]);
});

test("an empty file is a download too", async () => {
  expect(await saveStream("empty", 0, () => streamOf())).toBe(true);
  expect(offered.map(({ blob }) => blob.size)).toEqual([0]);
});

test("a large file goes to the file that the reader picks", async () => {
  const file = new FakeFile();
  vi.stubGlobal("showSaveFilePicker", async (options: object) => {
    expect(options).toEqual({ suggestedName: "large" });
    return file;
  });
  expect(await saveStream("large", LARGE, () => streamOf("a", "b"))).toBe(true);
  expect([file.text, file.ended, offered]).toEqual(["ab", "closed", []]);
});

test("a reader who closes the picker gets no file, and nothing is read", async () => {
  vi.stubGlobal("showSaveFilePicker", () => Promise.reject(new DOMException("closed", "AbortError")));
  expect(await saveStream("large", LARGE, () => expect.unreachable())).toBe(false);
  expect(offered).toEqual([]);
});

test("without a picker, a large file is spooled to a file of this site", async () => {
  vi.stubGlobal("showSaveFilePicker", undefined);
  const spool = new FakeFile();
  stubStorage(spool);
  expect(await saveStream("large", LARGE, () => streamOf("a", "b"))).toBe(true);
  expect(spool.ended).toBe("closed");
  expect(await offered[0]?.blob.text()).toBe("ab");
});

test.each([
  ["that can't write files", () => stubStorage(undefined)],
  ["without a file system", () => vi.stubGlobal("navigator", {})],
])("in a browser %s, a large file is collected", async (_, stub) => {
  vi.stubGlobal("showSaveFilePicker", undefined);
  stub();
  expect(await saveStream("large", LARGE, () => streamOf("a", "b"))).toBe(true);
  expect(await offered[0]?.blob.text()).toBe("ab");
});

test.each([11, LARGE])("an abort leaves no file, and rejects with its reason: %i bytes", async (size) => {
  vi.stubGlobal("showSaveFilePicker", undefined);
  const spool = new FakeFile();
  stubStorage(spool);
  const controller = new AbortController();
  let cancelled = false;
  const endless = new ReadableStream<Uint8Array>({
    pull(stream) {
      stream.enqueue(utf8("x"));
    },
    cancel() {
      cancelled = true;
    },
  });
  const reason = { why: "enough" };
  const saving = saveStream("x", size, () => endless, {
    signal: controller.signal,
    onProgress: ({ loaded }) => {
      if (loaded === 5) controller.abort(reason);
    },
  });
  await expect(saving).rejects.toBe(reason);
  expect([cancelled, offered, spool.ended]).toEqual([true, [], size === LARGE ? "aborted" : undefined]);
});

test("an abort cancels a source that gives nothing", async () => {
  const cancelled: unknown[] = [];
  const stalled = new ReadableStream<Uint8Array>({
    cancel(reason) {
      cancelled.push(reason);
    },
  });
  const controller = new AbortController();
  const saving = saveStream("x", 11, () => stalled, { signal: controller.signal });
  await new Promise((resolve) => setTimeout(resolve, 20));
  const reason = { why: "enough" };
  controller.abort(reason);
  await expect(saving).rejects.toBe(reason);
  await expect.poll(() => cancelled).toEqual([reason]);
});

test("a file that can't be written ends the reading, and the failure is told", async () => {
  const full = new DOMException("full", "QuotaExceededError");
  const file = { createWritable: async () => new WritableStream({ write: () => Promise.reject(full) }) };
  vi.stubGlobal("showSaveFilePicker", async () => file);
  let cancelled = false;
  const endless = new ReadableStream<Uint8Array>({
    pull: (stream) => stream.enqueue(utf8("x")),
    cancel() {
      cancelled = true;
    },
  });
  await expect(saveStream("large", LARGE, () => endless)).rejects.toBe(full);
  expect(cancelled).toBe(true);
});

test("a stream that fails leaves no file", async () => {
  const error = new Error("damaged");
  const failing = new ReadableStream<Uint8Array>({ pull: (stream) => stream.error(error) });
  await expect(saveStream("x", 11, () => failing)).rejects.toBe(error);
  await expect(saveStream("x", 11, () => Promise.reject(error))).rejects.toBe(error);
  expect(offered).toEqual([]);
});

test("the address of a download stays for a minute, then its memory is released", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout"] });
  const revoke = vi.spyOn(URL, "revokeObjectURL");
  try {
    await saveStream("a", 1, () => streamOf("a"));
    vi.advanceTimersByTime(59_000);
    expect(revoke).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1000);
    expect(revoke).toHaveBeenCalledTimes(1);
  } finally {
    vi.useRealTimers();
  }
});
