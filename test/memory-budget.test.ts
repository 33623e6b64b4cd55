import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { concatBytes } from "../src/bytes.ts";
import { decompressedAs } from "../src/compression/decompress.ts";
import { MemoryBudget } from "../src/memory-budget.ts";
import { Pace } from "../src/pace.ts";
import { sample } from "./compression/streams.ts";
import "../src/node/brotli.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "performance"] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** Lets promises settle, also those of WebAssembly that is instantiated. */
const settle = () => new Promise((resolve) => setTimeout(resolve, 100));

/** Advances the clock by `ms` milliseconds, in steps of 500. */
async function later(ms: number): Promise<void> {
  for (let at = 0; at < ms; at += 500) {
    vi.advanceTimersByTime(500);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await settle();
}

async function length(source: AsyncIterable<Uint8Array>): Promise<number> {
  let length = 0;
  for await (const piece of source) length += piece.length;
  return length;
}

/** Starts a client that sends the first bytes, and sends the rest after `go` is called. */
function client(
  bytes: Uint8Array,
  compression: string,
  { isUpload = true, first = 30, signal = undefined as AbortSignal | undefined } = {},
) {
  let go = (): void => {};
  const told = new Promise<void>((resolve) => {
    go = resolve;
  });
  const source = async function* (): AsyncGenerator<Uint8Array> {
    yield bytes.subarray(0, first);
    await told;
    yield bytes.subarray(first);
  };
  const pace = isUpload ? new Pace() : undefined;
  const result = length(decompressedAs(pace?.received(source()) ?? source(), compression, signal, { pace }));
  result.catch(() => {});
  return { go, result };
}

async function state(result: Promise<unknown>): Promise<unknown> {
  return Promise.race([
    result.then(
      () => "done",
      (error: { code?: unknown }) => error.code,
    ),
    settle().then(() => "waiting"),
  ]);
}

/** A zstd frame with a window of 128 MiB. Its last block is missing. */
const WIDE = concatBytes([Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0x00, 17 << 3), Uint8Array.of(0x09, 0x00, 0x00, 0x41)]);

describe.each([
  { compression: "xz", bytes: () => sample("numbers.xz"), first: 30, fit: 8 },
  { compression: "br", bytes: () => sample("numbers.br"), first: 20, fit: 8 },
  { compression: "zstd", bytes: async () => WIDE, first: 7, fit: 3 },
])("uploads of $compression", ({ compression, bytes, first, fit }) => {
  test("that send nothing delay others by ten seconds", async () => {
    const data = await bytes();
    const slow = Array.from({ length: fit }, () => client(data, compression, { first }));
    await settle();
    const other = client(data, compression, { first });
    other.go();
    await settle();
    await later(5000);
    expect(await state(other.result)).toBe("waiting");
    // On a busy machine, decoders may begin late.
    for (let i = 0; i < 20 && (await state(other.result)) === "waiting"; i++) await later(1000);
    await other.result;
    // Only one of the slow uploads had to end.
    const states = await Promise.all(slow.map(({ result }) => state(result)));
    expect(states.toSorted()).toEqual(["unavailable", ...Array<string>(fit - 1).fill("waiting")]);
    for (const { go } of slow) go();
    const ends = await Promise.allSettled(slow.map(({ result }) => result));
    expect(ends.filter(({ status }) => status === "rejected").length).toBe(1);
  });
});

test("a slow upload continues if no other decoder waits", async () => {
  const data = await sample("numbers.xz");
  const slow = Array.from({ length: 8 }, () => client(data, "xz"));
  await later(100_000);
  for (const { go, result } of slow) {
    go();
    expect(await result).toBeGreaterThan(100_000);
  }
});

test("an upload that waits for memory is refused after four minutes", async () => {
  const data = await sample("numbers.xz");
  const all = Array.from({ length: 8 }, () => client(data, "xz", { isUpload: false }));
  await settle();
  const other = client(data, "xz");
  other.go();
  await settle();
  await later(238_000);
  expect(await state(other.result)).toBe("waiting");
  await later(5000);
  expect(await state(other.result)).toBe("unavailable");
  for (const { go, result } of all) {
    go();
    expect(await result).toBeGreaterThan(100_000);
  }
});

test("downloads of a page wait for each other, and none is refused", async () => {
  const data = await sample("numbers.xz");
  const all = Array.from({ length: 12 }, () => client(data, "xz", { isUpload: false }));
  await later(200_000);
  expect(await Promise.all(all.map(({ result }) => state(result)))).toEqual(Array(12).fill("waiting"));
  for (const { go } of all) go();
  for (const { result } of all) expect(await result).toBeGreaterThan(100_000);
});

describe("memory", () => {
  const upload = { pace: new Pace() };

  test("is given in the order of the requests", async () => {
    const memory = new MemoryBudget(100);
    const [one, two] = [await memory.reserve(60, upload), await memory.reserve(40, upload)];
    const order: number[] = [];
    const large = memory.reserve(80, upload).then((lease) => {
      order.push(80);
      return lease;
    });
    const small = memory.reserve(10, upload).then((lease) => {
      order.push(10);
      return lease;
    });
    memory.free(two);
    memory.free(two);
    await settle();
    expect(order).toEqual([]);
    memory.free(one);
    memory.free(await large);
    memory.free(await small);
    expect(order).toEqual([80, 10]);
    memory.free(await memory.reserve(100, upload));
  });

  test("goes to the next request when the first waiting one is aborted", async () => {
    const memory = new MemoryBudget(100);
    const one = await memory.reserve(60, upload);
    const controller = new AbortController();
    const large = memory.reserve(80, { signal: controller.signal, ...upload });
    const small = memory.reserve(40, upload);
    controller.abort(new Error("enough"));
    await expect(large).rejects.toThrow("enough");
    memory.free(await small);
    memory.free(one);
    await expect(memory.reserve(1, { signal: controller.signal })).rejects.toThrow("enough");
  });

  test("is not lost to requests that are refused together", async () => {
    const memory = new MemoryBudget(26);
    const held = await memory.reserve(16);
    const [a, b] = [memory.reserve(16, upload), memory.reserve(6, upload)];
    vi.advanceTimersByTime(120_000);
    const c = memory.reserve(16, upload);
    vi.advanceTimersByTime(121_000);
    // To refuse the first one serves the second one at the same moment.
    await expect(a).rejects.toMatchObject({ code: "unavailable" });
    memory.free(await b);
    memory.free(held);
    memory.free(await c);
    memory.free(await memory.reserve(26));
  });

  test("is taken from one slow request after the other, even if one doesn't end", async () => {
    const memory = new MemoryBudget(20);
    const revoked: string[] = [];
    for (const name of ["deaf", "slow"]) {
      const pace = new Pace();
      const lease = await memory.reserve(10, { pace });
      pace.begin(() => {
        revoked.push(name);
        if (name === "slow") memory.free(lease);
      });
    }
    vi.advanceTimersByTime(20_000);
    const waiting = memory.reserve(10, upload);
    vi.advanceTimersByTime(1000);
    expect(revoked).toEqual(["deaf"]);
    vi.advanceTimersByTime(1000);
    expect(revoked).toEqual(["deaf", "slow"]);
    await waiting;
  });
});
