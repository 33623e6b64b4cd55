import { afterEach, expect, test } from "vitest";
import { iterate } from "../../src/stream.ts";
import { fetchThrough, serveFetch } from "../../src/thread/port-fetch.ts";
import { watchPorts } from "./watched-ports.ts";
import { watchedSignal } from "./watched-signal.ts";

const URL_OF_NOTHING = "http://daemon.invalid/method";
const never = new Promise<never>(() => {});

const stops: (() => void)[] = [];
afterEach(() => {
  for (const stop of stops.splice(0)) stop();
});

function connect(serve: typeof globalThis.fetch): { fetch: typeof globalThis.fetch; stop(): void } {
  const { port1, port2 } = new MessageChannel();
  const stop = serveFetch(port1, serve);
  stops.push(stop);
  return { fetch: fetchThrough(port2), stop };
}

/** A body that gives one piece and then stalls. */
function stalled(): { body: ReadableStream<Uint8Array>; cancelled(): boolean } {
  let cancelled = false;
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(new Uint8Array([1]));
    },
    cancel() {
      cancelled = true;
    },
  });
  return { body, cancelled: () => cancelled };
}

/**
 * Reads a body to its end. It does not use `arrayBuffer()`, which turns any error into a TypeError
 * in Chromium.
 */
async function readToEnd({ body }: Response): Promise<void> {
  for await (const _ of iterate(body as ReadableStream<Uint8Array>));
}

test("a request is sent and its answer arrives complete", async () => {
  const seen: unknown[] = [];
  const { fetch } = connect(async (input, init) => {
    const request = new Request(input, init);
    seen.push(request.method, request.url, request.headers.get("x-test"), await request.text());
    return new Response("the answer", { status: 418, statusText: "odd", headers: { "x-reply": "yes" } });
  });
  const response = await fetch(URL_OF_NOTHING, {
    method: "POST",
    headers: { "x-test": "1" },
    body: new TextEncoder().encode("ask"),
  });
  expect([response.status, response.statusText, response.headers.get("x-reply")]).toEqual([418, "odd", "yes"]);
  expect(await response.text()).toBe("the answer");
  expect(seen).toEqual(["POST", URL_OF_NOTHING, "1", "ask"]);
  const empty = connect(async () => new Response(null, { status: 204 }));
  expect((await empty.fetch(URL_OF_NOTHING)).body).toBeNull();
});

test("a status that HTTP doesn't define is a StoreError, and the body is cancelled", async () => {
  const { body, cancelled } = stalled();
  // The constructor of Response refuses such a status, but a fetch may return it.
  const { fetch } = connect(async () => Object.defineProperty(new Response(body), "status", { value: 999 }));
  await expect(fetch(URL_OF_NOTHING)).rejects.toMatchObject({ name: "StoreError", code: "unavailable" });
  await expect.poll(cancelled).toBe(true);
});

test("an error of the page's fetch is passed on", async () => {
  const { fetch } = connect(() => Promise.reject(new TypeError("no network")));
  await expect(fetch(URL_OF_NOTHING)).rejects.toMatchObject({ name: "TypeError", message: "no network" });
});

test("an abort ends the wait even if the page's fetch ignores it, and a late answer is cancelled", async () => {
  const reason = { why: "enough" };
  let answer: (response: Response) => void = () => {};
  const { fetch } = connect(
    () =>
      new Promise((resolve) => {
        answer = resolve;
      }),
  );
  const { controller, signal, listeners } = watchedSignal();
  const waiting = fetch(URL_OF_NOTHING, { signal });
  await new Promise((resolve) => setTimeout(resolve, 50));
  controller.abort(reason);
  await expect(waiting).rejects.toBe(reason);
  await expect.poll(listeners).toBe(0);
  await new Promise((resolve) => setTimeout(resolve, 50));
  const late = stalled();
  answer(new Response(late.body));
  await expect.poll(late.cancelled).toBe(true);
  await expect(fetch(URL_OF_NOTHING, { signal })).rejects.toBe(reason);
});

test("an abort reaches the page's fetch", async () => {
  let aborted = false;
  const { fetch } = connect((_, init) => {
    init?.signal?.addEventListener("abort", () => {
      aborted = true;
    });
    return never;
  });
  const controller = new AbortController();
  const waiting = fetch(URL_OF_NOTHING, { signal: controller.signal });
  waiting.catch(() => {});
  await new Promise((resolve) => setTimeout(resolve, 50));
  controller.abort();
  await expect(waiting).rejects.toMatchObject({ name: "AbortError" });
  await expect.poll(() => aborted).toBe(true);
});

test("an abort ends a body that stalls, and cancels it in the page", async () => {
  const { body, cancelled } = stalled();
  const { fetch } = connect(async () => new Response(body));
  const reason = new Error("enough");
  const controller = new AbortController();
  const response = await fetch(URL_OF_NOTHING, { signal: controller.signal });
  const reading = readToEnd(response);
  reading.catch(() => {});
  controller.abort(reason);
  await expect(reading).rejects.toBe(reason);
  await expect.poll(cancelled).toBe(true);
});

test("when the page stops serving, running requests fail and bodies are cancelled", async () => {
  const { body, cancelled } = stalled();
  const { fetch, stop } = connect((input) => (String(input).endsWith("body") ? Promise.resolve(new Response(body)) : never));
  const reading = readToEnd(await fetch(`${URL_OF_NOTHING}/body`));
  const waiting = fetch(URL_OF_NOTHING);
  reading.catch(() => {});
  waiting.catch(() => {});
  await new Promise((resolve) => setTimeout(resolve, 50));
  stop();
  await expect(waiting).rejects.toMatchObject({ code: "closed" });
  await expect(reading).rejects.toMatchObject({ code: "closed" });
  expect(cancelled()).toBe(true);
});

test("no port stays open after an answer was read", async () => {
  const { fetch } = connect(async () => new Response("short"));
  const ports = watchPorts();
  try {
    for (let i = 0; i < 3; i++) await readToEnd(await fetch(URL_OF_NOTHING));
    expect(ports.made.length).toBeGreaterThanOrEqual(6);
    expect(ports.open()).toEqual([]);
  } finally {
    ports.restore();
  }
});
