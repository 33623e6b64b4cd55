import type { UniversalClientRequest } from "@connectrpc/connect/protocol";
import { describe, expect, test } from "vitest";
import { utf8 } from "../../src/bytes.ts";
import { createFetchClient, type FetchClientOptions } from "../../src/wire/fetch-client.ts";

const MIB = 1024 * 1024;

function request(changes: Partial<UniversalClientRequest> = {}): UniversalClientRequest {
  return { url: "http://x.example/a", method: "POST", header: new Headers(), ...changes };
}

async function* pieces(...all: Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* all;
}

/** Sends `sent`, and returns the arguments of `fetch`. */
async function fetched(
  sent: UniversalClientRequest,
  options: FetchClientOptions = {},
): Promise<RequestInit & { url: string; duplex?: string; headers: Headers }> {
  let seen: { url: string; init: RequestInit } | undefined;
  const fetch: typeof globalThis.fetch = async (url, init = {}) => {
    seen = { url: String(url), init };
    return new Response(null, { status: 200 });
  };
  await createFetchClient({ ...options, fetch })(sent);
  if (!seen) throw new Error("fetch was not called");
  return { url: seen.url, ...seen.init, headers: new Headers(seen.init.headers) };
}

async function bytesOf(body: RequestInit["body"]): Promise<Uint8Array> {
  return new Uint8Array(await new Response(body ?? null).arrayBuffer());
}

describe("a request", () => {
  test("follows no redirect, has no User-Agent, and has the given headers", async () => {
    const { signal } = new AbortController();
    const header = new Headers({ "user-agent": "x", "content-type": "application/proto", authorization: "old" });
    const sent = await fetched(request({ header, signal }), { headers: { Authorization: "new" } });
    expect([sent.url, sent.method, sent.redirect, sent.signal]).toEqual(["http://x.example/a", "POST", "error", signal]);
    expect([...sent.headers]).toEqual([
      ["authorization", "new"],
      ["content-type", "application/proto"],
    ]);
  });

  test("without a body has none", async () => {
    for (const streamRequests of [false, true]) expect((await fetched(request(), { streamRequests })).body ?? null).toBeNull();
    expect((await fetched(request({ body: pieces() }))).body).toBeNull();
  });

  test("of one message is sent as it is, and of several as one Blob", async () => {
    const one = utf8("one");
    expect((await fetched(request({ body: pieces(one) }))).body).toBe(one);
    const { body, duplex } = await fetched(request({ body: pieces(one, utf8(" two")) }));
    expect([body instanceof Blob, duplex]).toEqual([true, undefined]);
    expect(await bytesOf(body)).toEqual(utf8("one two"));
  });

  test("above 4 MiB keeps the order of its pieces", async () => {
    const all = [1, 2, 3, 4].map((byte) => new Uint8Array(byte === 2 ? 4 * MIB : MIB).fill(byte));
    const sent = await bytesOf((await fetched(request({ body: pieces(...all) }))).body);
    expect(sent.length).toBe(7 * MIB);
    expect([0, MIB - 1, MIB, 5 * MIB - 1, 5 * MIB, 6 * MIB].map((at) => sent[at])).toEqual([1, 1, 2, 2, 3, 4]);
  });

  test("may have pieces in shared memory", async () => {
    const shared = new Uint8Array(new SharedArrayBuffer(3)).fill(7);
    expect(await bytesOf((await fetched(request({ body: pieces(shared, utf8("x")) }))).body)).toEqual(Uint8Array.of(7, 7, 7, 0x78));
  });

  test("that is aborted while it is collected is not sent", async () => {
    const controller = new AbortController();
    const reason = { why: "enough" };
    let isSent = false;
    const client = createFetchClient({
      fetch: async () => {
        isSent = true;
        return new Response();
      },
    });
    for (const at of [1, 2]) {
      const body = (async function* () {
        for (let i = 1; i <= 2; i++) {
          yield utf8("x");
          if (i === at) controller.abort(reason);
        }
      })();
      await expect(client(request({ body, signal: controller.signal }))).rejects.toBe(reason);
    }
    expect(isSent).toBe(false);
  });

  test("is streamed if that is allowed, and a cancelled stream ends its source", async () => {
    const { body, duplex } = await fetched(request({ body: pieces(utf8("one"), utf8(" two")) }), { streamRequests: true });
    expect([body instanceof ReadableStream, duplex]).toEqual([true, "half"]);
    expect(await bytesOf(body)).toEqual(utf8("one two"));

    const reason = { why: "enough" };
    let thrown: unknown;
    const source = (async function* () {
      try {
        for (;;) yield utf8("x");
      } catch (error) {
        thrown = error;
        throw error;
      }
    })();
    const endless = await fetched(request({ body: source }), { streamRequests: true });
    const reader = (endless.body as ReadableStream<Uint8Array>).getReader();
    await reader.read();
    await reader.cancel(reason);
    expect(thrown).toBe(reason);
  });
});

describe("an answer", () => {
  const client = (response: Response) => createFetchClient({ fetch: async () => response })(request());

  test("has the status, the headers, and no trailers", async () => {
    const answer = await client(new Response("text", { status: 404, headers: { a: "b" } }));
    expect([answer.status, answer.header.get("a"), [...answer.trailer]]).toEqual([404, "b", []]);
    const body: Uint8Array[] = [];
    for await (const piece of answer.body) body.push(piece);
    expect(body).toEqual([utf8("text")]);
  });

  test("without a body gives no bytes", async () => {
    for await (const _ of (await client(new Response(null, { status: 204 }))).body) expect.unreachable();
  });

  test("that is not read to its end is cancelled", async () => {
    let isCancelled = false;
    const body = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(utf8("x")),
      cancel: () => {
        isCancelled = true;
      },
    });
    for await (const _ of (await client(new Response(body))).body) break;
    expect(isCancelled).toBe(true);
  });
});
