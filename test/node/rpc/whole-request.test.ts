import { expect, test } from "vitest";
import { wholeRequest } from "../../../src/node/rpc/whole-request.ts";

/** Reads a request of two messages. Calls `atEnd` when the request ends. */
async function read(signal: AbortSignal, atEnd: () => void = () => {}): Promise<number[]> {
  const messages: number[] = [];
  const request = async function* () {
    yield* [1, 2];
    atEnd();
  };
  for await (const message of wholeRequest(request(), signal)) messages.push(message);
  return messages;
}

test("yields the messages of a request", async () => {
  expect(await read(new AbortController().signal)).toEqual([1, 2]);
});

test("throws the reason if the client cancelled the request, also one turn after its end", async () => {
  for (const later of [(abort: () => void) => abort(), (abort: () => void) => void setImmediate(abort)]) {
    const controller = new AbortController();
    const reason = new Error("cancelled");
    const reading = read(controller.signal, () => later(() => controller.abort(reason)));
    await expect(reading).rejects.toBe(reason);
  }
});
