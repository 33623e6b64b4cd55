import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { StoreError } from "../src/error.ts";
import { iterate } from "../src/stream.ts";
import { watchedFetch } from "../src/watched-fetch.ts";
import { resolvers } from "./setup/resolvers.ts";
import { watchedSignal } from "./thread/watched-signal.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const URL_OF_IT = "http://cache.example/a";
const unavailable = expect.objectContaining({
  name: "StoreError",
  code: "unavailable",
  message: expect.stringContaining(URL_OF_IT),
});
const LIMITS = { connect: 1000, stall: 500 };

/** Makes a body that sends a byte for each call of `send`. */
function slowBody(): { body: ReadableStream<Uint8Array>; send(): void; cancelled: unknown[] } {
  const cancelled: unknown[] = [];
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  const body = new ReadableStream<Uint8Array>({
    start: (started) => {
      controller = started;
    },
    cancel: (reason) => void cancelled.push(reason),
  });
  return { body, send: () => controller?.enqueue(Uint8Array.of(1)), cancelled };
}

const answering =
  (body: ReadableStream<Uint8Array> | string | null, init?: ResponseInit): typeof fetch =>
  async () =>
    new Response(body, init);
const neverAnswering: typeof fetch = () => new Promise(() => {});

describe("an answer", () => {
  test("keeps its status, headers and body, and leaves no timer or listener", async () => {
    const { signal, listeners } = watchedSignal();
    const fetched = watchedFetch(answering("text", { status: 206, statusText: "Part", headers: { a: "b" } }), LIMITS);
    const response = await fetched(URL_OF_IT, { signal });
    expect([response.status, response.statusText, response.headers.get("a")]).toEqual([206, "Part", "b"]);
    expect(await response.text()).toBe("text");
    expect([vi.getTimerCount(), listeners()]).toEqual([0, 0]);
  });

  test("without a body is over at once", async () => {
    const { signal, listeners } = watchedSignal();
    const response = await watchedFetch(answering(null, { status: 204 }), LIMITS)(URL_OF_IT, { signal });
    expect([response.status, response.body, vi.getTimerCount(), listeners()]).toEqual([204, null, 0, 0]);
  });

  test("whose body is cancelled cancels the request, and leaves no listener", async () => {
    const { body, cancelled } = slowBody();
    const { signal, listeners } = watchedSignal();
    const response = await watchedFetch(answering(body), LIMITS)(URL_OF_IT, { signal });
    await response.body?.cancel("enough");
    expect([cancelled, listeners()]).toEqual([["enough"], 0]);
  });
});

describe("a server that can't be reached", () => {
  test("is unavailable, with the platform's error as the cause", async () => {
    const cause = new TypeError("fetch failed");
    const failing = watchedFetch(() => Promise.reject(cause), LIMITS);
    await expect(failing(URL_OF_IT)).rejects.toEqual(unavailable);
    await expect(failing(new Request(URL_OF_IT))).rejects.toMatchObject({ cause });
    await expect(failing(new URL(URL_OF_IT))).rejects.toEqual(unavailable);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("keeps the code of a StoreError", async () => {
    const denied = new StoreError("denied", "no");
    await expect(watchedFetch(() => Promise.reject(denied), LIMITS)(URL_OF_IT)).rejects.toBe(denied);
  });

  test("is unavailable after the limit, and not before", async () => {
    let signal: AbortSignal | null | undefined;
    const never: typeof fetch = (_, init) => {
      signal = init?.signal;
      return new Promise(() => {});
    };
    const refused = expect(watchedFetch(never, LIMITS)(URL_OF_IT)).rejects.toEqual(unavailable);
    await vi.advanceTimersByTimeAsync(999);
    expect(signal?.aborted).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    await refused;
    expect(signal?.aborted).toBe(true);
  });

  test("is unavailable if its status is not a final one", async () => {
    const response = { status: 999, statusText: "", headers: new Headers(), body: slowBody().body };
    const strange = watchedFetch(async () => response as Response, LIMITS);
    await expect(strange(URL_OF_IT)).rejects.toEqual(unavailable);
  });
});

describe("a body", () => {
  test("may take any time if its pieces come within the limit", async () => {
    const { body, send } = slowBody();
    const response = await watchedFetch(answering(body), LIMITS)(URL_OF_IT);
    const pieces = iterate(response.body as ReadableStream<Uint8Array>);
    for (let i = 0; i < 5; i++) {
      const piece = pieces.next();
      await vi.advanceTimersByTimeAsync(499);
      send();
      expect((await piece).value).toEqual(Uint8Array.of(1));
    }
    const stalled = expect(pieces.next()).rejects.toEqual(unavailable);
    await vi.advanceTimersByTimeAsync(500);
    await stalled;
  });

  test("that nobody reads has no limit", async () => {
    const { body, send } = slowBody();
    const response = await watchedFetch(answering(body), LIMITS)(URL_OF_IT);
    await vi.advanceTimersByTimeAsync(10_000);
    send();
    const { value } = await iterate(response.body as ReadableStream<Uint8Array>).next();
    expect(value).toEqual(Uint8Array.of(1));
  });

  test("that breaks off is unavailable", async () => {
    const cause = new TypeError("terminated");
    const body = new ReadableStream({ pull: (controller) => controller.error(cause) });
    const response = await watchedFetch(answering(body), LIMITS)(URL_OF_IT);
    const error = await response.text().catch((error: unknown) => error);
    expect(error).toEqual(unavailable);
    expect(error).toMatchObject({ cause });
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe("an abort", () => {
  const reason = { why: "enough" };

  test("before the request sends nothing", async () => {
    const send = vi.fn(neverAnswering);
    await expect(watchedFetch(send, LIMITS)(URL_OF_IT, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    expect(send).not.toHaveBeenCalled();
  });

  test("ends a request whose fetch ignores the signal, and the body of a late answer", async () => {
    const { controller, signal, listeners } = watchedSignal();
    const late = resolvers<Response>();
    const fetched = watchedFetch(() => late.promise, LIMITS)(URL_OF_IT, { signal });
    controller.abort(reason);
    await expect(fetched).rejects.toBe(reason);
    const { body, cancelled } = slowBody();
    late.resolve(new Response(body));
    await vi.advanceTimersByTimeAsync(0);
    expect(cancelled).toHaveLength(1);
    expect([vi.getTimerCount(), listeners()]).toEqual([0, 0]);
  });

  test("ends the body", async () => {
    const { controller, signal, listeners } = watchedSignal();
    const { body, cancelled } = slowBody();
    const response = await watchedFetch(answering(body), LIMITS)(URL_OF_IT, { signal });
    const text = expect(response.text()).rejects.toBe(reason);
    controller.abort(reason);
    await text;
    expect([cancelled, vi.getTimerCount(), listeners()]).toEqual([[reason], 0, 0]);
  });

  test("by the signal of a Request works, too", async () => {
    const controller = new AbortController();
    const fetched = watchedFetch(neverAnswering, LIMITS)(new Request(URL_OF_IT, { signal: controller.signal }));
    const refused = expect(fetched).rejects.toThrow("enough");
    controller.abort(new Error("enough"));
    await refused;
  });
});

test("a timeout must be a positive number", () => {
  expect(() => watchedFetch(neverAnswering, { stall: 0 })).toThrow(expect.objectContaining({ code: "invalid" }));
});
