import { afterEach, describe, expect, test, vi } from "vitest";
import { connectRemote } from "../../src/browser/remote.ts";
import { StoreCalls } from "../../src/browser/store-calls.ts";
import { StoreError } from "../../src/error.ts";
import type { Progress } from "../../src/progress.ts";
import { iterate } from "../../src/stream.ts";
import type { ArchiveSource } from "../../src/thread/import-api.ts";
import { operationOptions } from "../../src/thread/operation-port.ts";
import { receiveStream, sendStream } from "../../src/thread/port-stream.ts";
import { type FakeApi, FakeConnection } from "./fake-connection.ts";

afterEach(() => void vi.unstubAllGlobals());

function connect(api: FakeApi = {}): { calls: StoreCalls; connection: FakeConnection } {
  const connection = new FakeConnection(api);
  return { connection, calls: new StoreCalls(connection) };
}

const LOST = new StoreError("unavailable", "the worker died");
const progress = (loaded: number): Progress => ({ phase: "reading", unit: "bytes", loaded });

describe("a long call", () => {
  test("returns its result after the last report of its progress", async () => {
    const { calls } = connect();
    const told: number[] = [];
    const result = calls.operation({ onProgress: ({ loaded }) => told.push(loaded) }, async (port) => {
      const { onProgress, finish } = operationOptions(port);
      for (let i = 0; i <= 100; i++) onProgress(progress(i));
      finish();
      return "result";
    });
    expect(await result).toBe("result");
    expect([told[0], told.at(-1)]).toEqual([0, 100]);
  });

  test("is not made after an abort", async () => {
    const { calls } = connect();
    const [start, release] = [vi.fn(), vi.fn()];
    await expect(calls.operation({ signal: AbortSignal.abort("enough") }, start, release)).rejects.toBe("enough");
    expect(start).not.toHaveBeenCalled();
    expect(release).toHaveBeenCalledOnce();
  });

  test("stops on an abort, and rejects with the caller's own reason instead of the worker's copy", async () => {
    const { calls } = connect();
    const controller = new AbortController();
    const reason = { why: "enough" };
    const running = calls.operation({ signal: controller.signal }, async (port) => {
      const { signal } = operationOptions(port);
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      throw new Error("a copy of the reason");
    });
    controller.abort(reason);
    await expect(running).rejects.toBe(reason);
  });

  test("passes on an error of the worker, and releases what it holds", async () => {
    const { calls } = connect();
    const problem = new StoreError("quota", "full");
    const release = vi.fn();
    await expect(calls.operation({}, () => Promise.reject(problem), release)).rejects.toBe(problem);
    expect(release).toHaveBeenCalledOnce();
  });

  test("rejects when the worker is lost, before its answer or before the last report", async () => {
    for (const answer of [new Promise(() => {}), Promise.resolve("result")]) {
      const { calls, connection } = connect();
      const running = calls.operation({}, () => answer);
      await Promise.resolve();
      connection.end(LOST);
      await expect(running).rejects.toBe(LOST);
    }
  });
});

describe("a call that sends an archive", () => {
  test("sends a Blob as it is", async () => {
    const { calls } = connect();
    const blob = new Blob(["content"]);
    const sent = await calls.send(blob, {}, async (source, port) => {
      operationOptions(port).finish();
      return source;
    });
    expect(sent).toEqual({ blob });
  });

  test("sends a stream through a port", async () => {
    const { calls } = connect();
    const found = await calls.send(new Blob(["content"]).stream(), {}, async (source, port) => {
      if (!("port" in source)) throw new Error("a stream has a port");
      const parts: Uint8Array[] = [];
      for await (const bytes of iterate(receiveStream<Uint8Array>(source.port))) parts.push(bytes);
      operationOptions(port).finish();
      return parts;
    });
    expect(found).toEqual([new TextEncoder().encode("content")]);
  });

  test.each<[string, (connection: FakeConnection) => void, (source: ArchiveSource) => Promise<unknown>]>([
    ["fails before it has read everything", () => {}, () => Promise.reject(new StoreError("invalid", "no"))],
    ["never answers, because the worker is gone", (connection) => connection.end(LOST), () => new Promise(() => {})],
  ])("cancels the stream if it %s", async (_, lose, answer) => {
    const { calls, connection } = connect();
    const cancelled: unknown[] = [];
    const stream = new ReadableStream<Uint8Array>({ cancel: (reason) => void cancelled.push(reason) });
    const running = calls.send(stream, {}, answer);
    lose(connection);
    await expect(running).rejects.toBeInstanceOf(StoreError);
    expect(cancelled).toMatchObject([{ code: "closed" }]);
  });
});

describe("a call whose answer is a stream", () => {
  const read = async (stream: ReadableStream<number>): Promise<number[]> => {
    const found: number[] = [];
    for await (const value of iterate(stream)) found.push(value);
    return found;
  };

  test("passes on the values of the worker", async () => {
    const { calls } = connect();
    const stream = calls.receive<number>(async (port) =>
      sendStream(
        port,
        (async function* () {
          yield* [1, 2, 3];
        })(),
      ),
    );
    expect(await read(stream)).toEqual([1, 2, 3]);
  });

  test("fails if the call fails, if the worker is lost, or after an abort", async () => {
    const { calls, connection } = connect();
    const problem = new StoreError("closed", "the store is not open");
    await expect(read(calls.receive(() => Promise.reject(problem)))).rejects.toBe(problem);
    await expect(read(calls.receive(async () => {}, AbortSignal.abort("enough")))).rejects.toBe("enough");
    const silent = read(calls.receive(async () => {}));
    connection.end(LOST);
    await expect(silent).rejects.toBe(LOST);
  });
});

describe("a long call whose answer is a stream", () => {
  /** A worker that sends `count` pieces of a byte, and reports each. */
  function serving(count: number) {
    const finished = vi.fn();
    const start = vi.fn(async (port: MessagePort, to: MessagePort) => {
      const { onProgress, finish } = operationOptions(port);
      sendStream(
        to,
        (async function* () {
          try {
            for (let i = 1; i <= count; i++) {
              onProgress(progress(i));
              yield Uint8Array.of(i);
            }
          } finally {
            finish();
            finished();
          }
        })(),
      );
    });
    return { start, finished };
  }

  test("begins at the first read, and ends after the last report", async () => {
    const { calls } = connect();
    const { start } = serving(10);
    const told: number[] = [];
    const stream = calls.stream({ onProgress: ({ loaded }) => told.push(loaded) }, start);
    await new Promise((resolve) => setTimeout(resolve));
    expect(start).not.toHaveBeenCalled();
    const bytes: number[] = [];
    for await (const piece of iterate(stream)) bytes.push(...piece);
    expect(bytes).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect(told.at(-1)).toBe(10);
  });

  test("ends at the worker when it is cancelled", async () => {
    const { calls } = connect();
    const { start, finished } = serving(1000);
    const reader = calls.stream({}, start).getReader();
    await reader.read();
    await reader.cancel();
    await vi.waitFor(() => expect(finished).toHaveBeenCalledOnce());
  });

  test("fails with the reason of an abort", async () => {
    const { calls } = connect();
    const { start, finished } = serving(1000);
    const controller = new AbortController();
    const reader = calls.stream({ signal: controller.signal }, start).getReader();
    await reader.read();
    controller.abort("enough");
    await expect(
      (async () => {
        while (!(await reader.read()).done);
      })(),
    ).rejects.toBe("enough");
    await vi.waitFor(() => expect(finished).toHaveBeenCalledOnce());
  });
});

test("the worker forgets a remote that the page no longer has, unless the worker is lost", () => {
  const collected: ((id: number) => void)[] = [];
  vi.stubGlobal(
    "FinalizationRegistry",
    class {
      constructor(callback: (id: number) => void) {
        collected.push(callback);
      }
      register(): void {}
    },
  );
  const forgetRemote = vi.fn(async () => {
    throw new StoreError("closed", "too late");
  });
  const { calls, connection } = connect({ sync: { forgetRemote } });
  const { use, end } = calls.remotes.begin(connectRemote("http://localhost"));
  end();
  collected[0]?.(use.id);
  expect(forgetRemote).toHaveBeenCalledWith(use.id);
  connection.end(LOST);
  collected[0]?.(use.id);
  expect(forgetRemote).toHaveBeenCalledOnce();
});
