import { describe, expect, test, vi } from "vitest";
import { utf8 } from "../../src/bytes.ts";
import { StoreError } from "../../src/error.ts";
import type { Progress } from "../../src/progress.ts";
import { operationPort } from "../../src/thread/operation-port.ts";
import { sendStream } from "../../src/thread/port-stream.ts";
import type { OpenedStore } from "../../src/worker/store-operations.ts";
import { memoryOperations, silentPort } from "./memory-operations.ts";
import { pathInfo, symlink } from "./memory-store.ts";

describe("the store", () => {
  test("is the open one, and `closed` if there is none", () => {
    const { operations } = memoryOperations();
    const opened = operations.opened as OpenedStore;
    expect(operations.store).toBe(opened);
    operations.opened = undefined;
    expect(() => operations.store).toThrow(expect.objectContaining({ code: "closed" }));
  });

  test("is `closed` with the reason of its database", () => {
    const { operations, database } = memoryOperations();
    const reason = new StoreError("closed", "another tab deleted the store");
    database.end(reason);
    expect(() => operations.store).toThrow(reason);
  });
});

test("a change notifies other tabs, unless the store is closed by then; it always clears the caches", () => {
  const { operations, told } = memoryOperations();
  const opened = operations.store;
  const clear = vi.spyOn(opened.resolver, "clear");
  operations.tell(opened, "delete");
  operations.opened = undefined;
  // Its channel is closed, and would throw.
  operations.tell(opened, "delete");
  operations.opened = { ...opened };
  operations.tell(opened, "delete");
  expect(told).toEqual(["delete"]);
  expect(clear).toHaveBeenCalledTimes(3);
});

describe("an operation", () => {
  test("gets the abort of the page, and sends it the progress, also of work that fails", async () => {
    const { operations } = memoryOperations();
    const controller = new AbortController();
    const reports: Progress[] = [];
    const page = operationPort({ signal: controller.signal, onProgress: (progress) => reports.push(progress) });
    const running = operations.run(page.port, async ({ signal, onProgress }) => {
      for (let loaded = 1; loaded <= 3; loaded++) onProgress?.({ phase: "reading", unit: "bytes", loaded });
      await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    });
    controller.abort(new StoreError("denied", "enough"));
    await expect(running).rejects.toMatchObject({ code: "denied" });
    await page.reported;
    expect(reports.map(({ loaded }) => loaded)).toEqual([1, 3]);
    page.finish();
  });

  test("that writes tells other tabs if it may have committed, even if it fails later", async () => {
    const { operations, told } = memoryOperations();
    expect(await operations.write(silentPort(), async () => "nothing")).toBe("nothing");
    expect(told).toEqual([]);
    await operations.write(silentPort(), ({ services }) => services.pathInfos.put(pathInfo("a", symlink)));
    expect(told).toEqual(["write"]);
    const problem = new Error("a late failure");
    const failing = operations.write(silentPort(), async ({ services }) => {
      await services.pathInfos.put(pathInfo("b", symlink));
      throw problem;
    });
    await expect(failing).rejects.toBe(problem);
    expect(told).toEqual(["write", "write"]);
  });

  test("that writes fails before its work begins if the store is closed", async () => {
    const { operations } = memoryOperations();
    operations.opened = undefined;
    const work = vi.fn();
    await expect(operations.write(silentPort(), work)).rejects.toMatchObject({ code: "closed" });
    expect(work).not.toHaveBeenCalled();
  });
});

describe("an operation that reads", () => {
  test("a Blob gets its bytes and its size", async () => {
    const { operations } = memoryOperations();
    const blob = new Blob(["content"]);
    const found = await operations.read({ blob }, "name", silentPort(), async (bytes, _store, { size, reuse }) => {
      const pieces: Uint8Array[] = [];
      for await (const piece of bytes) {
        pieces.push(piece.slice());
        if (piece.buffer instanceof ArrayBuffer) reuse?.(piece.buffer);
      }
      return { size, pieces };
    });
    expect(found).toEqual({ size: 7, pieces: [utf8("content")] });
  });

  test("a stream gets its bytes, of unknown size", async () => {
    const { operations } = memoryOperations();
    const { port1, port2 } = new MessageChannel();
    sendStream(port1, new Blob(["content"]).stream());
    const found = await operations.read({ port: port2 }, "name", silentPort(), async (bytes, _store, { size }) => {
      const pieces: Uint8Array[] = [];
      for await (const piece of bytes) pieces.push(piece);
      return { size, pieces };
    });
    expect(found).toEqual({ size: undefined, pieces: [utf8("content")] });
  });

  test("cancels a stream that it fails to read, with or without having begun", async () => {
    const problem = new StoreError("invalid", "not this name");
    for (const reads of [false, true]) {
      const { operations } = memoryOperations();
      const { port1, port2 } = new MessageChannel();
      const cancelled = new Promise((resolve) => {
        const pull = (controller: ReadableStreamDefaultController<Uint8Array>): void => controller.enqueue(new Uint8Array(1));
        sendStream(port1, new ReadableStream({ pull, cancel: resolve }));
      });
      const reading = operations.read({ port: port2 }, "name", silentPort(), async (bytes) => {
        if (reads) for await (const _ of bytes) throw problem;
        throw problem;
      });
      await expect(reading).rejects.toBe(problem);
      await cancelled;
    }
  });

  test("passes on the error of a stream that has failed, although it can't be cancelled", async () => {
    const { operations } = memoryOperations();
    const problem = new StoreError("invalid", "the work failed");
    const blob = new Blob();
    blob.stream = () => new ReadableStream({ start: (controller) => controller.error(new Error("lost")) });
    await expect(operations.read({ blob }, "name", silentPort(), () => Promise.reject(problem))).rejects.toBe(problem);
  });
});
