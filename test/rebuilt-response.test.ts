import { expect, test } from "vitest";
import { rebuiltResponse } from "../src/rebuilt-response.ts";

function body(): { stream: ReadableStream<Uint8Array<ArrayBuffer>>; cancelled(): boolean } {
  let isCancelled = false;
  const stream = new ReadableStream<Uint8Array<ArrayBuffer>>(
    {
      pull: (controller) => {
        controller.enqueue(Uint8Array.of(1, 2));
        controller.close();
      },
      cancel: () => {
        isCancelled = true;
      },
    },
    { highWaterMark: 0 },
  );
  return { stream, cancelled: () => isCancelled };
}

test.each([200, 206, 404, 599])("a response with the status %d is rebuilt", async (status) => {
  const response = rebuiltResponse("x:", body().stream, { status, statusText: "Fine", headers: [["a", "b"]] });
  expect([response.status, response.statusText, response.headers.get("a")]).toEqual([status, "Fine", "b"]);
  expect(new Uint8Array(await response.arrayBuffer())).toEqual(Uint8Array.of(1, 2));
});

test.each([100, 199, 600, 999])("the status %d is refused, and the body is cancelled", (status) => {
  const { stream, cancelled } = body();
  expect(() => rebuiltResponse("x:", stream, { status, statusText: "", headers: [] })).toThrow(
    expect.objectContaining({ name: "StoreError", code: "unavailable" }),
  );
  expect(cancelled()).toBe(true);
  expect(() => rebuiltResponse("x:", null, { status, statusText: "", headers: [] })).toThrow(
    expect.objectContaining({ code: "unavailable" }),
  );
});

test.each([204, 304])("the status %d can't have a body", (status) => {
  const { stream, cancelled } = body();
  expect(() => rebuiltResponse("x:", stream, { status, statusText: "", headers: [] })).toThrow(
    expect.objectContaining({ code: "unavailable" }),
  );
  expect(cancelled()).toBe(true);
  expect(rebuiltResponse("x:", null, { status, statusText: "", headers: [] }).status).toBe(status);
});
