import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { Turn } from "../src/turn.ts";

/** Keeps the thread busy for this number of milliseconds. */
function work(milliseconds: number): void {
  for (const from = performance.now(); performance.now() - from < milliseconds; );
}

test("connections are answered while several loops take their turns", async () => {
  const server = createServer((_, answer) => answer.end("answered"));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  let isAnswered = false;
  const began = performance.now();
  const loop = async (): Promise<void> => {
    const turn = new Turn();
    while (!isAnswered && performance.now() - began < 10_000) {
      work(60);
      await turn.pass();
    }
  };
  const loops = Promise.all([loop(), loop()]);
  const answer = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  expect(await answer.text()).toBe("answered");
  // The answer comes before the loops give up.
  expect(performance.now() - began).toBeLessThan(8000);
  isAnswered = true;
  await loops;
  server.close();
});

test("a loop continues at once while its turn is short, and rejects with the reason of an abort", async () => {
  const controller = new AbortController();
  const turn = new Turn(controller.signal);
  controller.abort(new Error("enough"));
  await turn.pass();
  work(60);
  await expect(turn.pass()).rejects.toThrow("enough");
});
