import { describe, expect, test, vi } from "vitest";
import { StoreError } from "../../src/error.ts";
import { CUTTER_BURDEN, type HashWorker, PoolMember, returnedBuffer, STREAM_BURDEN } from "../../src/hash/pool-member.ts";
import type { HashReply, HashRequest } from "../../src/hash/pool-protocol.ts";

/** A member whose worker does nothing by itself. */
function idle() {
  const requests: HashRequest[] = [];
  let reply = (_: HashReply): void => {};
  let lose = (_: StoreError): void => {};
  const terminate = vi.fn();
  const postMessage = vi.fn((message: HashRequest, _: ArrayBuffer[]) => {
    requests.push(message);
  });
  const worker: HashWorker = {
    postMessage,
    listen(onReply, onLost) {
      reply = onReply;
      lose = onLost;
    },
    terminate,
  };
  const member = new PoolMember(worker);
  const done = (id: number, result: Uint8Array | undefined = undefined, buffer?: ArrayBuffer) =>
    reply({ id, buffer, kind: "done", result });
  const fail = (id: number) => reply({ id, buffer: undefined, kind: "failed", message: "out of memory" });
  return { member, requests, postMessage, terminate, done, fail, lose: (error: StoreError) => lose(error) };
}

const digest = (stream: number) => ({ kind: "digest", stream }) as const;

describe("calls", () => {
  test("get their own replies, in any order", async () => {
    const { member, requests, done } = idle();
    const calls = [1, 2, 3].map((stream) => member.call<"digest">(digest(stream)));
    expect(requests).toEqual([1, 2, 3].map((stream, id) => ({ kind: "digest", stream, id })));
    for (const id of [2, 0, 1]) done(id, Uint8Array.of(id));
    expect((await Promise.all(calls)).map(({ result }) => [...result])).toEqual([[0], [1], [2]]);
  });

  test("hand their buffers over, and get them back", async () => {
    const { member, postMessage, done } = idle();
    const buffer = new ArrayBuffer(5);
    const call = member.call<"update">({ kind: "update", stream: 1, buffer, length: 5 }, [buffer], 5);
    expect(postMessage.mock.calls[0]?.[1]).toEqual([buffer]);
    done(0, undefined, buffer);
    expect(returnedBuffer(await call)).toBe(buffer);
    expect(() => returnedBuffer({ buffer: undefined })).toThrow(expect.objectContaining({ code: "internal" }));
  });

  test("fail alone if the worker says so", async () => {
    const { member, done, fail } = idle();
    const [one, other] = [member.call<"digest">(digest(1)), member.call<"digest">(digest(2))];
    fail(0);
    await expect(one).rejects.toMatchObject({ code: "internal", message: expect.stringContaining("out of memory") });
    done(1, Uint8Array.of(1));
    expect([...(await other).result]).toEqual([1]);
    expect(member.lost).toBe(false);
  });

  test("fail alone if their bytes can't be sent", async () => {
    const { member, postMessage, done } = idle();
    const cause = new DOMException("detached", "DataCloneError");
    postMessage.mockImplementationOnce(() => {
      throw cause;
    });
    await expect(member.call<"digest">(digest(1), [], 100)).rejects.toMatchObject({ code: "invalid", cause });
    expect([member.load, member.lost]).toEqual([0, false]);
    const next = member.call<"digest">(digest(1));
    done(1, Uint8Array.of(1));
    await next;
  });

  test("are load until they are answered", async () => {
    const { member, done, fail } = idle();
    const calls = Promise.allSettled([100, 0, 5].map((weight) => member.call<"digest">(digest(1), [], weight)));
    expect(member.load).toBe(108);
    done(0);
    expect(member.load).toBe(7);
    // Nobody waits for these replies.
    done(0);
    fail(77);
    expect(member.load).toBe(7);
    fail(1);
    done(2);
    expect(member.load).toBe(0);
    await calls;
  });
});

describe("streams", () => {
  test("are a burden from the first call until their end", async () => {
    const { member } = idle();
    const { stream: one } = member.startStream(STREAM_BURDEN, () => new Promise(() => {}));
    expect(member.burden).toBe(STREAM_BURDEN);
    const { stream: two } = member.startStream(CUTTER_BURDEN, async () => {});
    expect([one, two, member.burden]).toEqual([0, 1, STREAM_BURDEN + CUTTER_BURDEN]);
    for (let i = 0; i < 2; i++) member.endStream(one);
    expect(member.burden).toBe(CUTTER_BURDEN);
  });

  test("that can't be opened are none", async () => {
    const { member } = idle();
    const reason = new Error("no");
    const { opened } = member.startStream(STREAM_BURDEN, () => Promise.reject(reason));
    await expect(opened).rejects.toBe(reason);
    expect(member.burden).toBe(0);
    expect(member.startStream(STREAM_BURDEN, async () => {}).stream).toBe(1);
  });
});

describe("a worker", () => {
  test.each([
    ["dies", ({ lose }: ReturnType<typeof idle>) => lose(new StoreError("unavailable", "it died")), "unavailable"],
    ["is closed", ({ member }: ReturnType<typeof idle>) => member.close(), "closed"],
  ])("that %s fails its calls and all later ones, and is ended", async (_, end, code) => {
    const its = idle();
    const calls = [1, 2].map((stream) => its.member.call<"digest">(digest(stream), [], 10));
    expect(its.member.lost).toBe(false);
    end(its);
    for (const call of calls) await expect(call).rejects.toMatchObject({ code });
    expect([its.member.load, its.member.lost, its.terminate.mock.calls.length]).toEqual([0, true, 1]);
    await expect(its.member.call<"digest">(digest(3))).rejects.toMatchObject({ code });
    expect(its.requests.length).toBe(2);
    expect(its.member.load).toBe(0);
    // The first reason stays.
    its.member.close();
    await expect(its.member.call<"digest">(digest(3))).rejects.toMatchObject({ code });
  });
});
