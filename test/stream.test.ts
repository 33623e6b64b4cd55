import { describe, expect, test } from "vitest";
import { iterate, streamOf } from "../src/stream.ts";
import { watchedSignal } from "./thread/watched-signal.ts";

/** Makes a stream of the numbers 1, 2, 3, and tells why it was cancelled. */
function numbers(end: "closes" | "stays open" | "fails" = "closes"): { stream: ReadableStream<number>; cancelled: unknown[] } {
  const cancelled: unknown[] = [];
  let next = 1;
  const stream = new ReadableStream<number>(
    {
      pull: (controller) => {
        if (next <= 3) return controller.enqueue(next++);
        if (end === "closes") controller.close();
        if (end === "fails") controller.error(new Error("broken"));
        return undefined;
      },
      cancel: (reason) => void cancelled.push(reason),
    },
    { highWaterMark: 0 },
  );
  return { stream, cancelled };
}

async function all<T>(items: AsyncIterable<T>, into: T[] = []): Promise<T[]> {
  for await (const item of items) into.push(item);
  return into;
}

describe("the iteration over a stream", () => {
  test("reads it to its end, and leaves it unlocked", async () => {
    const { stream, cancelled } = numbers();
    const { signal, listeners } = watchedSignal();
    expect(await all(iterate(stream, signal))).toEqual([1, 2, 3]);
    expect([stream.locked, cancelled, listeners()]).toEqual([false, [], 0]);
  });

  test("cancels it if the loop is left early", async () => {
    const { stream, cancelled } = numbers();
    for await (const value of iterate(stream)) if (value === 2) break;
    expect([stream.locked, cancelled]).toEqual([false, [undefined]]);
  });

  test("fails as the stream does", async () => {
    const { stream, cancelled } = numbers("fails");
    const read: number[] = [];
    await expect(all(iterate(stream), read)).rejects.toThrow("broken");
    expect([read, stream.locked, cancelled]).toEqual([[1, 2, 3], false, []]);
  });

  test("ends at an abort, even while a read is pending", async () => {
    const { stream, cancelled } = numbers("stays open");
    const { controller, signal, listeners } = watchedSignal();
    const reason = { why: "enough" };
    const iteration = iterate(stream, signal);
    for (let i = 0; i < 3; i++) await iteration.next();
    const pending = iteration.next();
    controller.abort(reason);
    await expect(pending).rejects.toBe(reason);
    expect([cancelled, stream.locked, listeners()]).toEqual([[reason], false, 0]);
  });

  test("does not begin if it is aborted", async () => {
    const { stream, cancelled } = numbers();
    const reason = { why: "enough" };
    await expect(iterate(stream, AbortSignal.abort(reason)).next()).rejects.toBe(reason);
    // The stream still belongs to the caller.
    expect([stream.locked, cancelled]).toEqual([false, []]);
  });

  test("passes on no value that comes after an abort", async () => {
    const controller = new AbortController();
    const iteration = iterate(numbers().stream, controller.signal);
    expect((await iteration.next()).value).toBe(1);
    controller.abort("enough");
    await expect(iteration.next()).rejects.toBe("enough");
  });
});

describe("the stream of an iteration", () => {
  test("has its values, and takes none before it is read", async () => {
    let taken = 0;
    const source = async function* () {
      for (let i = 1; i <= 3; i++) {
        taken++;
        yield i;
      }
    };
    const stream = streamOf(source());
    await new Promise((resolve) => setImmediate(resolve));
    expect(taken).toBe(0);
    expect(await all(iterate(stream))).toEqual([1, 2, 3]);
  });

  test("fails as it does", async () => {
    const source = async function* () {
      yield 1;
      throw new Error("broken");
    };
    const read: number[] = [];
    await expect(all(iterate(streamOf(source())), read)).rejects.toThrow("broken");
    expect(read).toEqual([1]);
  });

  test("ends it if it is cancelled", async () => {
    let isEnded = false;
    const source = async function* () {
      try {
        for (let i = 0; ; i++) yield i;
      } finally {
        isEnded = true;
      }
    };
    const reader = streamOf(source()).getReader();
    await reader.read();
    await reader.cancel();
    expect(isEnded).toBe(true);
  });

  test("may be of an iterator without a return method", async () => {
    const source = { [Symbol.asyncIterator]: () => ({ next: async () => ({ done: false as const, value: 1 }) }) };
    const stream = streamOf(source);
    await stream.cancel();
  });
});
