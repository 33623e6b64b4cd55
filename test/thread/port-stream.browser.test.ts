import { expect, test } from "vitest";
import { equalBytes } from "../../src/bytes.ts";
import { StoreError } from "../../src/error.ts";
import { receiveStream, sendStream } from "../../src/thread/port-stream.ts";
import { pseudoRandom, readAll } from "../conformance/content.ts";
import { watchedSignal } from "./watched-signal.ts";

/** A stream that never ends, and records how it is used. */
function endless(): { stream: ReadableStream<Uint8Array>; pulls(): number; cancelled(): unknown[] } {
  let pulls = 0;
  const reasons: unknown[] = [];
  const stream = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        pulls++;
        controller.enqueue(new Uint8Array(10));
      },
      cancel(reason) {
        reasons.push(reason);
      },
    },
    { highWaterMark: 0 },
  );
  return { stream, pulls: () => pulls, cancelled: () => reasons };
}

const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 50));

test("carries bytes, and leaves the sender's bytes intact", async () => {
  const { port1, port2 } = new MessageChannel();
  const content = pseudoRandom(100_000, 3);
  sendStream(
    port1,
    (async function* () {
      for (let at = 0; at < content.length; at += 7000) yield content.subarray(at, at + 7000);
    })(),
  );
  expect(equalBytes((await readAll(receiveStream(port2))) ?? new Uint8Array(0), content)).toBe(true);
});

test("an ended stream leaves no listeners at the signals, and releases its source", async () => {
  const [sending, receiving] = [watchedSignal(), watchedSignal()];
  const { port1, port2 } = new MessageChannel();
  const source = new Blob(["some text"]).stream();
  sendStream(port1, source, sending.signal);
  const received = receiveStream<Uint8Array>(port2, { signal: receiving.signal });
  expect([sending.listeners(), receiving.listeners()]).toEqual([1, 1]);
  await readAll(received);
  expect([sending.listeners(), receiving.listeners()]).toEqual([0, 0]);
  expect(source.locked).toBe(false);
});

test("the sender stays only a few pieces ahead of the reader", async () => {
  const { port1, port2 } = new MessageChannel();
  const source = endless();
  sendStream(port1, source.stream);
  const reader = receiveStream<Uint8Array>(port2).getReader();
  await reader.read();
  await pause();
  expect(source.pulls()).toBeLessThanOrEqual(6);
  await reader.cancel();
});

test("a reader that cancels cancels the source, even while a read waits", async () => {
  const { port1, port2 } = new MessageChannel();
  let cancelled = false;
  const silent = new ReadableStream<Uint8Array>({
    cancel() {
      cancelled = true;
    },
  });
  sendStream(port1, silent);
  const received = receiveStream<Uint8Array>(port2);
  await pause();
  await received.cancel();
  await expect.poll(() => cancelled).toBe(true);
  expect(silent.locked).toBe(false);
});

test("an error of the source is passed on", async () => {
  const { port1, port2 } = new MessageChannel();
  sendStream(
    port1,
    (async function* () {
      yield new Uint8Array(1);
      throw new StoreError("denied", "no more");
    })(),
  );
  await expect(readAll(receiveStream(port2))).rejects.toMatchObject({ code: "denied" });
});

test("a stopped sender cancels its source with the reason, and the reader gets the reason", async () => {
  const { port1, port2 } = new MessageChannel();
  const { controller, signal, listeners } = watchedSignal();
  const source = endless();
  sendStream(port1, source.stream, signal);
  const reason = new StoreError("closed", "over");
  const reader = receiveStream<Uint8Array>(port2).getReader();
  await reader.read();
  controller.abort(reason);
  await expect(
    (async () => {
      while (!(await reader.read()).done);
    })(),
  ).rejects.toMatchObject({ code: "closed" });
  expect(source.cancelled()).toEqual([reason]);
  expect(source.stream.locked).toBe(false);
  expect(listeners()).toBe(0);
});

test("the receiver's signal errors the stream with its reason, and cancels the source", async () => {
  const { port1, port2 } = new MessageChannel();
  const { controller, signal, listeners } = watchedSignal();
  const source = endless();
  sendStream(port1, source.stream);
  const reader = receiveStream<Uint8Array>(port2, { signal }).getReader();
  await reader.read();
  const reason = { why: "enough" };
  controller.abort(reason);
  await expect(reader.read()).rejects.toBe(reason);
  await expect.poll(() => source.cancelled().length).toBe(1);
  expect(listeners()).toBe(0);
  await expect(receiveStream(new MessageChannel().port1, { signal }).getReader().read()).rejects.toBe(reason);
});

test("the end of the sender's thread errors the stream too, whichever comes first", async () => {
  for (const first of ["signal", "lost"] as const) {
    const both = { signal: watchedSignal(), lost: watchedSignal() };
    const stream = receiveStream(new MessageChannel().port1, { signal: both.signal.signal, lost: both.lost.signal });
    both[first].controller.abort({ first });
    for (const { controller } of [both.signal, both.lost]) controller.abort({ first: "the other" });
    await expect(stream.getReader().read()).rejects.toEqual({ first });
    expect(both.signal.listeners() + both.lost.listeners()).toBe(0);
  }
});

test("a failure to start the sender errors the stream", async () => {
  const started = Promise.reject(new StoreError("not-found", "nothing there"));
  const reading = readAll(receiveStream(new MessageChannel().port1, { started }));
  await expect(reading).rejects.toMatchObject({ code: "not-found" });
});
