import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { concatBytes, equalBytes } from "../../src/bytes.ts";
import { CacheFiles, type CacheFilesOptions, type StreamOptions } from "../../src/store/cache-files.ts";
import { answerError, retryHint } from "../../src/store/http-answer.ts";
import { pseudoRandom } from "../conformance/content.ts";
import type { Script, Step } from "../setup/flaky-script.ts";
import { type FlakyServer, startFlakyServer } from "../setup/flaky-server.ts";
import { failure } from "./fixtures.ts";

/**
 * A file that is longer than the buffers of a socket, so a part has arrived when the connection
 * breaks.
 */
const LARGE = pseudoRandom(3_000_000, 1);
const TEXT = new TextEncoder().encode("StoreDir: /nix/store\n");

let server: FlakyServer;
beforeAll(async () => {
  server = await startFlakyServer((path) => (path === "large" ? LARGE : path === "text" ? TEXT : undefined));
});
afterAll(() => server.close());
afterEach(() => {
  vi.restoreAllMocks();
});

/** Delays short enough for a test. */
const RETRY = { delay: 4, busyDelay: 8, maxDelay: 1000 };

let cache: string;
function open(script: Script, options: CacheFilesOptions = {}): CacheFiles {
  cache = server.cache(script);
  return new CacheFiles({ retry: RETRY, ...options });
}
const steps = (...list: Step[]): Script => ({ steps: { text: list, large: list } });

async function readLarge(files: CacheFiles, options: StreamOptions = {}): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const part of files.stream(`${cache}large`, options)) parts.push(part);
  return concatBytes(parts);
}

/** Range headers of all requests for the file. */
const ranges = (): (string | undefined)[] => server.asked(cache).map(({ range }) => range);

/**
 * A `fetch` whose bodies break off after `length` bytes. A server can't do this: how many bytes of
 * a reset connection arrive depends on the speed of the machine.
 */
function breakingOff(length: number): typeof globalThis.fetch {
  return async (...request) => {
    const response = await fetch(...request);
    let left = length;
    const cut = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
      transform(bytes, controller) {
        controller.enqueue(bytes.slice(0, left));
        left -= bytes.length;
        if (left <= 0) controller.error(new TypeError("terminated"));
      },
    });
    const { status, headers } = response;
    return new Response(response.body?.pipeThrough(cut) ?? null, { status, headers });
  };
}

describe("a temporary failure is retried", () => {
  const passing: Step[] = ["reset", 408, 425, 429, 500, 502, 503, 504, 520, 599, { cut: 5 }];
  test.each(passing)("%j", async (step) => {
    let retried = 0;
    const files = open(steps(step, step, step, step));
    expect(await files.text(`${cache}text`, 1000, { onRetry: () => retried++ })).toContain("StoreDir");
    expect(retried).toBe(4);
    const large = open(steps(step, step, step, step));
    expect(equalBytes(await readLarge(large), LARGE)).toBe(true);
    expect(ranges()).toHaveLength(5);
  });

  test.each(passing)("%j is not retried for ever", async (step) => {
    const files = open(steps(...Array<Step>(9).fill(step)));
    expect(await failure(files.text(`${cache}text`, 1000))).toMatchObject({ name: "StoreError", code: "unavailable" });
    expect(ranges()).toHaveLength(5);
    const large = open(steps(...Array<Step>(9).fill(step)));
    expect(await failure(readLarge(large))).toMatchObject({ name: "StoreError", code: "unavailable" });
    expect(ranges()).toHaveLength(5);
  });

  test("a server that is unreachable for a while", async () => {
    const away = await startFlakyServer(() => undefined);
    const url = away.cache();
    away.close();
    const error = await failure(new CacheFiles({ retry: RETRY }).text(`${url}text`, 1000));
    expect(error).toMatchObject({ code: "unavailable" });
    expect(String(error)).toContain(url);
    expect(String(error)).toContain("ECONNREFUSED");
  });
});

describe("a permanent failure is not retried", () => {
  test.each<[number, string | undefined]>([
    [400, "unavailable"],
    [401, "denied"],
    [403, undefined],
    [404, undefined],
    [410, undefined],
    [418, "unavailable"],
    [501, "unavailable"],
    [505, "unavailable"],
    [511, "unavailable"],
  ])("%i", async (status, code) => {
    const files = open(steps(status));
    const text = files.text(`${cache}text`, 1000);
    if (code) expect(await failure(text)).toMatchObject({ name: "StoreError", code });
    else expect(await text).toBeUndefined();
    expect(ranges()).toHaveLength(1);
    const large = open(steps(status));
    expect(await failure(readLarge(large))).toMatchObject({ code: code ?? "not-found" });
    expect(ranges()).toHaveLength(1);
  });

  test("407, for which Node's fetch reports a connection failure", async () => {
    const fetch = async (): Promise<Response> => new Response("", { status: 407 });
    const files = new CacheFiles({ fetch, retry: RETRY });
    expect(await failure(files.text("https://cache.test/x", 10))).toMatchObject({ code: "denied" });
  });

  test("a text that is too long, or is not UTF-8", async () => {
    const files = open({});
    expect(await failure(files.text(`${cache}large`, 1000))).toMatchObject({ code: "invalid" });
    expect(await failure(files.text(`${cache}large`, LARGE.length))).toMatchObject({ code: "invalid" });
    expect(ranges()).toHaveLength(2);
  });
});

describe("a body that breaks off is continued", () => {
  const cut: Step = { cut: 1_000_000 };
  const whole = async (script: Script, options?: StreamOptions, how?: CacheFilesOptions): Promise<void> => {
    const files = open({ steps: { large: [cut, cut] }, ...script }, how);
    expect(equalBytes(await readLarge(files, options), LARGE)).toBe(true);
  };

  test("with a request for the rest", async () => {
    await whole({});
    expect(ranges()).toEqual([undefined, expect.stringMatching(/^bytes=[0-9]+-$/), expect.stringMatching(/^bytes=[0-9]+-$/)]);
  });

  test.each<[string, Script, number]>([
    ["a strong entity tag vouches for each part", { etag: '"1"' }, 0],
    ["a weak entity tag does not", { etag: 'W/"1"' }, 2],
    ["no entity tag does not", {}, 2],
  ])("%s", async (_, script, expected) => {
    let continued = 0;
    await whole(script, { onContinued: () => continued++ });
    expect(continued).toBe(expected);
  });

  test.each(["ignored", "416", "400", "wrong"] as const)(
    "with a request for the whole file, if the answer to a range is %s",
    async (kind) => {
      await whole({ ranges: kind });
      const [first, second, third] = ranges();
      expect([first, second]).toEqual([undefined, expect.stringMatching(/^bytes=[0-9]+-$/)]);
      // Only a refused range needs another request.
      if (kind === "ignored") expect(third).toMatch(/^bytes=[0-9]+-$/);
      else expect(third).toBeUndefined();
    },
  );

  test("although the request for the rest fails once", async () => {
    await whole({ steps: { large: [cut, "reset", 503, "reset"] } });
    expect(ranges()).toHaveLength(5);
  });

  test("many times, if each request makes progress", async () => {
    const large: Step[] = ["ok", "reset", "reset", "reset", "ok", "reset", "reset", "reset"];
    await whole({ steps: { large }, acceptRanges: true }, {}, { fetch: breakingOff(1_300_000) });
    expect(ranges()).toHaveLength(9);
    expect(ranges().slice(1)).not.toContain(undefined);
  });

  test("not if the requests make hardly any progress", async () => {
    const files = open({ steps: { large: Array<Step>(9).fill({ cut: 100_000 }) } });
    expect(await failure(readLarge(files))).toMatchObject({ code: "unavailable" });
    expect(ranges()).toHaveLength(5);
  });

  test("after an end without a declared length too, if the size is known", async () => {
    await whole({ steps: { large: [{ short: 1_000_000 }] } }, { size: LARGE.length });
    expect(ranges()).toEqual([undefined, "bytes=1000000-"]);
  });

  test("but a file that is shorter than expected ends early, without an error", async () => {
    const files = open({});
    expect(equalBytes(await readLarge(files, { size: LARGE.length + 1 }), LARGE)).toBe(true);
    expect(ranges()).toEqual([undefined]);
    const short = open({ ranges: "ignored", steps: { large: Array<Step>(9).fill({ short: 1000 }) } });
    expect(await readLarge(short, { size: LARGE.length })).toEqual(LARGE.slice(0, 1000));
    expect(ranges()).toHaveLength(2);
  });

  test("but a file that has changed is corrupt", async () => {
    const files = open({ steps: { large: [cut] }, etag: "each" });
    expect(await failure(readLarge(files))).toMatchObject({ name: "StoreError", code: "corrupt" });
  });

  test("but a file that is gone is not-found", async () => {
    const files = open({ steps: { large: [cut, 404] } });
    expect(await failure(readLarge(files))).toMatchObject({ name: "StoreError", code: "not-found" });
  });

  test("but a server that sends wrong parts is not asked for ever", async () => {
    let asked = 0;
    const fetch = async (): Promise<Response> => {
      asked++;
      return new Response("x", { status: 206, headers: { "content-range": "bytes 5-5/6" } });
    };
    cache = "https://cache.test/";
    expect(await failure(readLarge(new CacheFiles({ fetch, retry: RETRY })))).toMatchObject({ code: "corrupt" });
    expect(asked).toBe(1);
  });
});

describe("a delay by Retry-After", () => {
  const hint = (status: number, value?: string) =>
    retryHint(answerError(cache, new Response("", { status, ...(value !== undefined && { headers: { "retry-after": value } }) })));

  test.each([
    [429, "7", true, 7000],
    [503, "0", true, 0],
    [500, "120", false, 120_000],
    [503, undefined, true, 0],
    [502, "-1", false, 0],
    [502, "soon", false, 0],
    [502, "", false, 0],
    [502, "1.5", false, 0],
    [502, "1 Jan", false, 0],
    [502, "Thu, 01 Jan 1970 00:00:00 GMT", false, 0],
  ])("%i, %j", (status, value, isBusy, atLeast) => {
    expect(hint(status, value)).toEqual({ isBusy, atLeast });
  });

  test.each([
    (date: Date) => date.toUTCString(),
    // RFC 9110 has two older date forms that recipients must understand.
    (date: Date) => date.toUTCString().replace(/^(...), (..) (...) ..(..)/, "$1day, $2-$3-$4"),
    (date: Date) => date.toUTCString().replace(/^(...), (..) (...) (....) (.*) GMT$/, "$1 $3 $2 $5 $4"),
  ])("a date", (format) => {
    const text = format(new Date(Date.now() + 100_000));
    expect(hint(503, text)?.atLeast, text).toBeGreaterThan(98_000);
    expect(hint(503, text)?.atLeast, text).toBeLessThanOrEqual(100_000);
  });

  test("is respected", async () => {
    const files = open(steps({ status: 429, retryAfter: "1" }), { retry: { ...RETRY, maxDelay: 60_000 } });
    const started = performance.now();
    expect(await files.text(`${cache}text`, 1000)).toContain("StoreDir");
    expect(performance.now() - started).toBeGreaterThanOrEqual(1000);
  });
});

describe("a timeout ends the wait", () => {
  const timeouts = { connect: 200, stall: 200 };

  test("for an answer", async () => {
    const files = open(steps("silent", "silent"), { timeouts });
    expect(await files.text(`${cache}text`, 1000)).toContain("StoreDir");
    expect(ranges()).toHaveLength(3);
    const never = open(steps(...Array<Step>(9).fill("silent")), { timeouts: { connect: 50 } });
    expect(await failure(never.text(`${cache}text`, 1000))).toMatchObject({ name: "StoreError", code: "unavailable" });
    expect(ranges()).toHaveLength(5);
  });

  test("for the rest of a body", async () => {
    const files = open(steps({ stall: 5 }), { timeouts });
    expect(await files.text(`${cache}text`, 1000)).toContain("StoreDir");
    const large = open(steps({ stall: 1_000_000 }, { stall: 0 }), { timeouts });
    expect(equalBytes(await readLarge(large), LARGE)).toBe(true);
    expect(ranges()[1]).toMatch(/^bytes=[0-9]+-$/);
  });

  test.each([199, 600, 999])("a status that HTTP doesn't define is a failure, and its body is cancelled: %d", async (status) => {
    let cancelled = false;
    const cancel = (): void => {
      cancelled = true;
    };
    const body = new ReadableStream({ cancel }, { highWaterMark: 0 });
    // The constructor of Response refuses such a status, but a fetch may return it.
    const fetch = async (): Promise<Response> => Object.defineProperty(new Response(body), "status", { value: status });
    const files = new CacheFiles({ fetch, retry: { ...RETRY, attempts: 1 } });
    expect(await failure(files.text("https://cache.test/text", 1000))).toMatchObject({ name: "StoreError", code: "unavailable" });
    expect(cancelled).toBe(true);
  });

  test("for a fetch that ignores its signal", async () => {
    const fetch = (): Promise<Response> => new Promise(() => {});
    const files = new CacheFiles({ fetch, retry: RETRY, timeouts: { connect: 20 } });
    expect(await failure(files.text("https://cache.test/text", 1000))).toMatchObject({ code: "unavailable" });
  });

  test("but not for a slow reader", async () => {
    const files = open({}, { timeouts: { stall: 100 } });
    let length = 0;
    let slow = 3;
    for await (const part of files.stream(`${cache}large`)) {
      length += part.length;
      if (slow-- > 0) await new Promise((resolve) => setTimeout(resolve, 150));
    }
    expect(length).toBe(LARGE.length);
    expect(ranges()).toHaveLength(1);
  });

  test("and leaves no timer and no listener at the signal", async () => {
    const { signal } = new AbortController();
    const listeners = new Set<unknown>();
    const { addEventListener, removeEventListener } = signal;
    signal.addEventListener = (type: string, listener: Parameters<typeof addEventListener>[1]) => {
      listeners.add(listener);
      addEventListener.call(signal, type, listener);
    };
    signal.removeEventListener = (type: string, listener: Parameters<typeof addEventListener>[1]) => {
      listeners.delete(listener);
      removeEventListener.call(signal, type, listener);
    };
    const delays = [71_001, 71_002];
    const running = new Set<unknown>();
    const [set, clear] = [globalThis.setTimeout, globalThis.clearTimeout];
    vi.spyOn(globalThis, "setTimeout").mockImplementation(((run: () => void, delay = 0) => {
      const timer = set(run, delay);
      if (delays.includes(delay)) running.add(timer);
      return timer;
    }) as typeof setTimeout);
    vi.spyOn(globalThis, "clearTimeout").mockImplementation((timer) => {
      running.delete(timer);
      clear(timer);
    });
    for (const script of [{}, steps("reset"), steps(503), steps({ cut: 1000 }), steps(404), steps({ short: 5 })]) {
      const files = open(script, { timeouts: { connect: 71_001, stall: 71_002 } });
      await files.text(`${cache}text`, 1000, { signal });
      await readLarge(files, { signal }).catch(() => {});
      // The reader stops early.
      for await (const _ of files.stream(`${cache}large`, { signal })) break;
    }
    expect(vi.mocked(setTimeout).mock.calls.filter(([, delay]) => delays.includes(delay ?? 0)).length).toBeGreaterThan(30);
    expect(running.size).toBe(0);
    expect(listeners.size).toBe(0);
  });

  test.each([0, -1, Number.NaN, "5"])("can't be %j", (value) => {
    for (const name of ["connect", "stall"])
      expect(() => new CacheFiles({ timeouts: { [name]: value } })).toThrow(expect.objectContaining({ code: "invalid" }));
  });

  test("may be longer than the longest timer", async () => {
    const files = open({}, { timeouts: { connect: Number.POSITIVE_INFINITY, stall: 2 ** 40 } });
    expect(equalBytes(await readLarge(files), LARGE)).toBe(true);
  });
});

// Without the abort, each wait would be longer than the test may take.
describe("an abort ends a request at once with its reason", { timeout: 20_000 }, () => {
  const reason = new Error("enough");
  const timeouts = { connect: 600_000, stall: 600_000 };
  test.each<[string, Script, CacheFilesOptions]>([
    ["before it begins", {}, {}],
    ["while it waits for an answer", steps("silent"), { timeouts }],
    ["while it waits for the rest", steps({ stall: 5 }), { timeouts }],
    ["while it waits for the next try", steps({ status: 503, retryAfter: "50" }), { retry: undefined }],
  ])("%s", async (when, script, options) => {
    const files = open(script, options);
    const controller = new AbortController();
    if (when === "before it begins") controller.abort(reason);
    else setTimeout(() => controller.abort(reason), 100);
    const { signal } = controller;
    expect(await failure(files.text(`${cache}text`, 1000, { signal }))).toBe(reason);
    const large = open(script, options);
    expect(await failure(readLarge(large, { signal }))).toBe(reason);
  });
});

test("the platform's error becomes the cause of an error that names the URL", async () => {
  const files = open(steps({ cut: 1000 }), { retry: { attempts: 1 } });
  const error = await failure(readLarge(files));
  expect(error).toMatchObject({ name: "StoreError", code: "unavailable", cause: expect.any(TypeError) });
  expect(String(error)).toContain(`${cache}large`);
  const text = open(steps("reset"), { retry: { attempts: 1 } });
  const reset = await failure(text.text(`${cache}text`, 1000));
  expect(reset).toMatchObject({ name: "StoreError", code: "unavailable", cause: expect.any(TypeError) });
  expect(String(reset)).toContain(`${cache}text`);
});
