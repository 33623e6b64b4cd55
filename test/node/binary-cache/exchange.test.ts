import { once } from "node:events";
import { type IncomingHttpHeaders, request } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import { connect } from "node:net";
import { buffer } from "node:stream/consumers";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { utf8 } from "../../../src/bytes.ts";
import { StoreError, type StoreErrorCode } from "../../../src/error.ts";
import { type CacheResponse, Exchange } from "../../../src/node/binary-cache/exchange.ts";
import { type RunningServer, startServer } from "../../../src/node/server.ts";

let server: RunningServer;
/** How the server answers the next requests. */
let respond: (exchange: Exchange) => Promise<CacheResponse>;
beforeEach(async () => {
  respond = async () => ({ status: 200 });
  server = await startServer(
    { host: "127.0.0.1", port: 0 },
    {
      routes: () => {},
      fallback: (received, answer) => {
        const exchange = new Exchange(received, answer);
        void exchange.answer(() => respond(exchange));
      },
    },
  );
});
afterEach(async () => {
  vi.restoreAllMocks();
  vi.useRealTimers();
  await server.close();
});

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

async function ask(method: string, body: Uint8Array | string = "", headers: Record<string, string> = {}): Promise<Answer> {
  const sent = request(`${server.address}/path?query`, { method, headers });
  // The server may answer before it has read the body, but it reads the body nevertheless.
  const finished = once(sent, "finish");
  sent.end(body);
  const [response] = await once(sent, "response");
  await finished;
  return { status: response.statusCode, headers: response.headers, text: (await buffer(response)).toString() };
}

const connectRaw = () => connect(Number(new URL(server.address).port), "127.0.0.1").on("error", () => {});

describe("the answer", () => {
  test("has the status, the headers and the body", async () => {
    respond = async (exchange) => ({
      status: 203,
      headers: { "x-a": exchange.header("x-sent") ?? "", vary: "Accept-Encoding" },
      body: `${exchange.method} ${exchange.url.pathname}${exchange.url.search} ${exchange.isNear} ä`,
    });
    const { status, headers, text } = await ask("GET", "", { "x-sent": "1" });
    expect([status, text]).toEqual([203, "GET /path?query true ä"]);
    // The server itself varies by origin.
    expect(headers).toMatchObject({
      "x-a": "1",
      vary: "Origin, Sec-Fetch-Site, Accept-Encoding",
      "content-length": String(Buffer.byteLength(text)),
    });
  });

  test("of HEAD has the length of a text, but no body", async () => {
    respond = async () => ({ status: 200, body: "12345" });
    expect(await ask("HEAD")).toMatchObject({ status: 200, headers: { "content-length": "5" }, text: "" });
  });

  test.each([
    ["GET", 200, "0"],
    ["PUT", 201, "0"],
    ["GET", 304, undefined],
    ["GET", 204, undefined],
  ])("of %s with status %d and without a body has the length %s", async (method, status, length) => {
    respond = async () => ({ status });
    const answer = await ask(method);
    expect([answer.status, answer.headers["content-length"], answer.text]).toEqual([status, length, ""]);
  });

  test("may be a stream", async () => {
    const pieces = async function* () {
      yield utf8("one ");
      yield Buffer.alloc(1_000_000, "x");
      yield utf8(" two");
    };
    respond = async () => ({ status: 200, body: pieces() });
    const { headers, text } = await ask("GET");
    expect([headers["transfer-encoding"], text.length, text.slice(0, 5), text.slice(-5)]).toEqual([
      "chunked",
      1_000_008,
      "one x",
      "x two",
    ]);
  });

  test("breaks off if the stream fails, over both versions of HTTP", async () => {
    const logged = vi.spyOn(console, "error").mockImplementation(() => {});
    const broken = async function* () {
      yield utf8("one");
      throw new Error("two is missing");
    };
    respond = async () => ({ status: 200, body: broken() });
    await expect(ask("GET")).rejects.toThrow();
    const session = connectHttp2(server.address);
    const stream = session.request({ ":path": "/" }).resume();
    await expect(once(stream, "end")).rejects.toThrow();
    session.destroy();
    expect(logged).toHaveBeenCalledTimes(2);
  });
});

describe("an error", () => {
  test.each<[StoreErrorCode, number]>([
    ["not-found", 404],
    ["invalid", 400],
    ["denied", 403],
    ["conflict", 409],
    ["quota", 507],
    ["closed", 503],
    ["unavailable", 503],
    ["corrupt", 500],
  ])("%s gives the status %d, and its reason in one line", async (code, status) => {
    const logged = vi.spyOn(console, "error").mockImplementation(() => {});
    respond = () => Promise.reject(new StoreError(code, "the reason"));
    const answer = await ask("GET");
    expect([answer.status, answer.text, answer.headers["cache-control"]]).toEqual([status, "the reason\n", "no-store"]);
    expect(logged).toHaveBeenCalledTimes(status >= 500 ? 1 : 0);
  });

  test.each<[string, Error]>([
    ["internal", new StoreError("internal", "a secret")],
    ["of a library", new TypeError("a secret")],
  ])("%s gives the status 500, and only the log has its reason", async (_, error) => {
    const logged = vi.spyOn(console, "error").mockImplementation(() => {});
    respond = () => Promise.reject(error);
    const answer = await ask("GET");
    expect(answer).toMatchObject({ status: 500, text: "an internal error of this server\n" });
    expect(logged).toHaveBeenCalledExactlyOnceWith("GET /path:", error);
  });
});

describe("the body", () => {
  const asText = (maxLength: number) => {
    respond = async (exchange) => ({ status: 200, body: await exchange.text(maxLength) });
  };

  test("has a limited length, before and after decoding", async () => {
    asText(5);
    for (const [body, headers] of [
      ["12345", {}],
      [gzipSync("12345"), { "content-encoding": "gzip" }],
    ] as const)
      expect(await ask("PUT", body, headers)).toMatchObject({ status: 200, text: "12345" });
    for (const [body, headers] of [
      ["123456", {}],
      [gzipSync("123456"), { "content-encoding": "gzip" }],
      [Buffer.concat([gzipSync("12345"), Buffer.alloc(1024 * 1024 + 1)]), { "content-encoding": "gzip" }],
    ] as const)
      expect((await ask("PUT", body, headers)).status).toBe(400);
  });

  test.each<[string, Uint8Array, Record<string, string>]>([
    ["is not UTF-8", Uint8Array.of(0xff), {}],
    ["is damaged", utf8("no gzip"), { "content-encoding": "gzip" }],
    ["has an unknown coding", utf8("x"), { "content-encoding": "lzop" }],
  ])("is refused if it %s", async (_, body, headers) => {
    asText(100);
    expect((await ask("PUT", body, headers)).status).toBe(400);
  });

  test("that breaks off is an error, and aborts the signal", async () => {
    let outcome: unknown;
    const ended = new Promise<AbortSignal>((resolve) => {
      respond = async (exchange) => {
        await exchange.text(100).catch((error: unknown) => {
          outcome = error;
        });
        resolve(exchange.signal);
        return { status: 200 };
      };
    });
    const socket = connectRaw();
    socket.write("PUT / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n12345");
    socket.end();
    const signal = await ended;
    expect(outcome).toMatchObject({ name: "StoreError", code: "invalid" });
    await expect.poll(() => signal.aborted).toBe(true);
    expect(signal.reason).toMatchObject({ name: "StoreError", code: "unavailable" });
  });

  test("may be ignored: the rest is read after the answer", async () => {
    respond = async (exchange) => {
      for await (const _ of exchange.body()) break;
      return { status: 409, body: "enough\n" };
    };
    expect(await ask("PUT", Buffer.alloc(4_000_000))).toMatchObject({ status: 409, text: "enough\n" });
  });
});

describe("a client that pauses for five minutes", () => {
  let pieces: number;
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    pieces = 0;
    respond = async (exchange) => {
      for await (const _ of exchange.body()) pieces++;
      return { status: 201 };
    };
  });

  /** Waits until the server has this number of pieces. Doesn't advance the fake timers. */
  async function received(count: number): Promise<void> {
    while (pieces < count) await new Promise((resolve) => setImmediate(resolve));
  }

  test("within a request is cut off", async () => {
    const socket = connectRaw().resume();
    socket.write("PUT / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n12345");
    await received(1);
    vi.advanceTimersByTime(299_999);
    expect(socket.closed).toBe(false);
    vi.advanceTimersByTime(1);
    await once(socket, "close");
  });

  test("within a request over HTTP/2 is cut off", async () => {
    const session = connectHttp2(server.address);
    const stream = session.request({ ":method": "PUT", ":path": "/" }).on("error", () => {});
    stream.write("12345");
    await received(1);
    vi.advanceTimersByTime(300_000);
    await new Promise((resolve) => stream.once("close", resolve));
    session.destroy();
  });

  test("in all is served, if each pause is shorter", async () => {
    const sent = request(`${server.address}/`, { method: "PUT" });
    for (let i = 1; i <= 4; i++) {
      sent.write("x");
      await received(i);
      vi.advanceTimersByTime(299_999);
    }
    sent.end();
    const [response] = await once(sent, "response");
    expect(response.resume().statusCode).toBe(201);
  });
});

test("an endless body is not read to the end", async () => {
  respond = async (exchange) => ({ status: 200, body: await exchange.text(1000) });
  const sent = request(`${server.address}/x`, { method: "PUT" });
  let isOpen = true;
  sent.on("error", () => {
    isOpen = false;
  });
  sent.on("close", () => {
    isOpen = false;
  });
  const status = new Promise((resolve) => sent.once("response", (response) => resolve(response.resume().statusCode)));
  const piece = Buffer.alloc(1 << 20, "x");
  for (let i = 0; i < 600 && isOpen; i++) await new Promise<void>((resolve) => sent.write(piece, () => resolve()));
  expect(isOpen).toBe(false);
  expect(await status).toBe(400);
});

test("an endless body over HTTP/2 is not read to the end either", async () => {
  respond = async (exchange) => ({ status: 200, body: await exchange.text(1000) });
  const session = connectHttp2(server.address);
  const stream = session.request({ ":method": "PUT", ":path": "/x" });
  let isOpen = true;
  stream.on("error", () => {});
  const closed = new Promise<void>((resolve) => {
    stream.once("close", () => {
      isOpen = false;
      resolve();
    });
  });
  stream.resume();
  const status = new Promise((resolve) => stream.once("response", (headers) => resolve(headers[":status"])));
  const piece = Buffer.alloc(1 << 20, "x");
  for (let i = 0; i < 600 && isOpen; i++)
    await Promise.race([new Promise<void>((resolve) => stream.write(piece, () => resolve())), closed]);
  expect(isOpen).toBe(false);
  expect(await status).toBe(400);
  session.destroy();
});
