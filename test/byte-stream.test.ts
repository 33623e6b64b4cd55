import { describe, expect, test } from "vitest";
import { ReadBuffers, readByteStream } from "../src/byte-stream.ts";
import { watchedSignal } from "./thread/watched-signal.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

/** Makes a byte stream that fills each buffer with its number, until `length` bytes were sent. */
function byteStream(length: number): { stream: ReadableStream<Uint8Array>; cancelled: unknown[] } {
  const cancelled: unknown[] = [];
  let sent = 0;
  const stream = new ReadableStream({
    type: "bytes",
    pull: (controller) => {
      const view = controller.byobRequest?.view;
      if (!view) throw new Error("only for readers with a buffer");
      if (sent === length) {
        controller.close();
        controller.byobRequest?.respond(0);
        return;
      }
      const count = Math.min(view.byteLength, length - sent);
      sent += count;
      controller.byobRequest?.respond(count);
    },
    cancel: (reason) => void cancelled.push(reason),
  });
  return { stream, cancelled };
}

describe("buffers to read into", () => {
  test("double up to 2 MiB, while they are at most 1/64 of the bytes read", () => {
    const buffers = new ReadBuffers();
    const sizes: number[] = [];
    for (let read = 0; read < 400 * MIB; read += sizes.at(-1) ?? 0) {
      const buffer = buffers.take();
      sizes.push(buffer.byteLength);
      buffers.give(buffer);
    }
    const count = (size: number) => sizes.filter((other) => other === size).length;
    expect([count(512 * KIB), count(MIB)]).toEqual([128, 64]);
    expect([...new Set(sizes)]).toEqual([512 * KIB, MIB, 2 * MIB]);
  });

  test("are used again, but only those of the current size", () => {
    const buffers = new ReadBuffers();
    const first = buffers.take();
    expect(buffers.take()).not.toBe(first);
    buffers.give(first);
    buffers.give(new ArrayBuffer(MIB));
    expect(buffers.take()).toBe(first);
    expect(buffers.take().byteLength).toBe(512 * KIB);
  });

  test("are kept up to eight", () => {
    const buffers = new ReadBuffers();
    const given = Array.from({ length: 9 }, () => new ArrayBuffer(512 * KIB));
    for (const buffer of given) buffers.give(buffer);
    const taken = Array.from({ length: 9 }, () => buffers.take());
    expect(taken.filter((buffer) => given.includes(buffer))).toHaveLength(8);
  });
});

describe("a byte stream", () => {
  test("is read in whole buffers, each with bytes at its start", async () => {
    const { stream } = byteStream(512 * KIB + 3);
    const { signal, listeners } = watchedSignal();
    const pieces: Uint8Array[] = [];
    for await (const piece of readByteStream(stream, new ReadBuffers(), signal) ?? []) pieces.push(piece);
    expect(pieces.map(({ length, byteOffset }) => [length, byteOffset])).toEqual([
      [512 * KIB, 0],
      [3, 0],
    ]);
    expect([stream.locked, listeners()]).toEqual([false, 0]);
  });

  test("that is empty gives no pieces", async () => {
    const pieces: Uint8Array[] = [];
    for await (const piece of readByteStream(byteStream(0).stream, new ReadBuffers()) ?? []) pieces.push(piece);
    expect(pieces).toEqual([]);
  });

  test("is cancelled if the loop is left early", async () => {
    const { stream, cancelled } = byteStream(100 * MIB);
    for await (const _ of readByteStream(stream, new ReadBuffers()) ?? []) break;
    expect([cancelled, stream.locked]).toEqual([[undefined], false]);
  });

  test("is cancelled at an abort, even while a read is pending", async () => {
    const cancelled: unknown[] = [];
    const stream = new ReadableStream({
      type: "bytes",
      pull: () => new Promise(() => {}),
      cancel: (reason) => void cancelled.push(reason),
    });
    const { controller, signal, listeners } = watchedSignal();
    const reason = { why: "enough" };
    const pending = readByteStream(stream, new ReadBuffers(), signal)?.next();
    controller.abort(reason);
    await expect(pending).rejects.toBe(reason);
    expect([cancelled, stream.locked, listeners()]).toEqual([[reason], false, 0]);
  });

  test("that is aborted before is cancelled at once", async () => {
    const { stream, cancelled } = byteStream(1);
    await expect(readByteStream(stream, new ReadBuffers(), AbortSignal.abort("enough"))?.next()).rejects.toBe("enough");
    expect(cancelled).toEqual(["enough"]);
  });

  test("fails as its source does", async () => {
    const stream = new ReadableStream({ type: "bytes", pull: () => Promise.reject(new Error("broken")) });
    await expect(readByteStream(stream, new ReadBuffers())?.next()).rejects.toThrow("broken");
  });
});

test("another stream, or a locked one, is left to another reader", () => {
  const plain = new ReadableStream<Uint8Array>();
  expect(readByteStream(plain, new ReadBuffers())).toBeUndefined();
  expect(plain.locked).toBe(false);
  const { stream } = byteStream(1);
  stream.getReader();
  expect(readByteStream(stream, new ReadBuffers())).toBeUndefined();
});
