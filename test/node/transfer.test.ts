import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { MemoryBudget } from "../../src/memory-budget.ts";
import { DOWNLOAD_MEMORY, Transfer, UPLOAD_MEMORY } from "../../src/node/transfer.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "performance"] });
});
afterEach(() => {
  vi.useRealTimers();
});

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const breakOff = vi.fn();

async function* pieces(...lengths: number[]): AsyncGenerator<Uint8Array> {
  for (const length of lengths) yield new Uint8Array(length);
}

const never: AsyncIterable<Uint8Array> = {
  [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => {}), return: () => new Promise(() => {}) }),
};

test("memory is reserved in total for a request, and freed at its end", async () => {
  const memory = new MemoryBudget(UPLOAD_MEMORY + DOWNLOAD_MEMORY);
  const [one, two] = [new Transfer(breakOff, { memory }), new Transfer(breakOff, { memory })];
  for (let i = 0; i < 3; i++) await one.reserve(DOWNLOAD_MEMORY);
  await one.reserve(UPLOAD_MEMORY);
  await one.reserve(1);
  await two.reserve(DOWNLOAD_MEMORY);
  let isGranted = false;
  const larger = two.reserve(UPLOAD_MEMORY).then(() => {
    isGranted = true;
  });
  await settle();
  expect(isGranted).toBe(false);
  one.end();
  one.end();
  await larger;
  two.end();
  await expect(two.reserve(1)).rejects.toMatchObject({ code: "unavailable" });
  await memory.reserve(UPLOAD_MEMORY + DOWNLOAD_MEMORY);
});

test("memory that is granted after the end is freed, and an abort ends the wait", async () => {
  const memory = new MemoryBudget(10);
  const held = await memory.reserve(10);
  const controller = new AbortController();
  const [one, two] = [new Transfer(breakOff, { memory }), new Transfer(breakOff, { memory })];
  const waiting = one.reserve(10);
  const aborted = two.reserve(10, controller.signal);
  controller.abort(new Error("gone"));
  await expect(aborted).rejects.toThrow("gone");
  one.end();
  memory.free(held);
  await waiting;
  await memory.reserve(10);
});

test("a client that sends nothing for the time limit is reset, but only while the server waits for it", async () => {
  const transfer = new Transfer(breakOff, { stallTimeout: 1000 });
  breakOff.mockClear();
  for await (const _ of transfer.received(pieces(1, 2))) vi.advanceTimersByTime(5000);
  vi.advanceTimersByTime(5000);
  expect(breakOff).not.toHaveBeenCalled();
  void transfer.received(never).next();
  vi.advanceTimersByTime(999);
  expect(breakOff).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  expect(breakOff).toHaveBeenCalledOnce();
});

test("so is a client that reads nothing", async () => {
  const transfer = new Transfer(breakOff, { stallTimeout: 1000 });
  breakOff.mockClear();
  const answer = transfer.sent(pieces(1, 2));
  await answer.next();
  vi.advanceTimersByTime(999);
  await answer.next();
  vi.advanceTimersByTime(999);
  expect(await answer.next()).toMatchObject({ done: true });
  await transfer.drained(1, Promise.resolve());
  vi.advanceTimersByTime(5000);
  expect(breakOff).not.toHaveBeenCalled();
  void transfer.drained(1, new Promise(() => {}));
  vi.advanceTimersByTime(1000);
  expect(breakOff).toHaveBeenCalledOnce();
});

test.each(["sent", "drained"] as const)("a slow reader is reset while others wait for its memory: %s", async (how) => {
  const memory = new MemoryBudget(10);
  const slow = new Transfer(breakOff, { memory });
  breakOff.mockReset().mockImplementationOnce(() => slow.end());
  await slow.reserve(10);
  if (how === "sent") await slow.sent(pieces(100)).next();
  else void slow.drained(100, new Promise(() => {}));
  vi.advanceTimersByTime(20_000);
  expect(breakOff).not.toHaveBeenCalled();
  const other = new Transfer(vi.fn(), { memory });
  const waiting = other.reserve(10);
  vi.advanceTimersByTime(1000);
  await waiting;
  expect(breakOff).toHaveBeenCalledOnce();
});

test("a failed answer is passed on", async () => {
  const failure = new Error("damaged");
  const answer = new Transfer(breakOff).sent(
    (async function* () {
      yield new Uint8Array(1);
      throw failure;
    })(),
  );
  await answer.next();
  await expect(answer.next()).rejects.toBe(failure);
});

test("a client that doesn't read the last bytes of an answer is reset too, until the request ends", async () => {
  breakOff.mockReset();
  const [stalled, ended] = [1, 2].map(() => new Transfer(breakOff, { stallTimeout: 1000 })) as [Transfer, Transfer];
  for (const transfer of [stalled, ended]) for await (const _ of transfer.sent(pieces(1)));
  ended.end();
  vi.advanceTimersByTime(1000);
  expect(breakOff).toHaveBeenCalledOnce();
  stalled.end();
});
