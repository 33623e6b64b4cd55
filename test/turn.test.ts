import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { Turn } from "../src/turn.ts";

/** Turns after which a loop gives up. A request takes a few turns. */
const MANY_TURNS = 500;

/** Keeps the thread busy for longer than a turn may take. */
function work(): void {
  for (const from = performance.now(); performance.now() - from < 12; );
}

test("connections are answered while several loops take their turns", async () => {
  const server = createServer((_, answer) => answer.end("answered"));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  let isAnswered = false;
  const loop = async (): Promise<void> => {
    const turn = new Turn();
    for (let i = 0; i < MANY_TURNS && !isAnswered; i++) {
      work();
      await turn.pass();
    }
  };
  const loops = Promise.all([loop(), loop()]);
  const answer = fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}`).then(async (answer) => {
    expect(await answer.text()).toBe("answered");
    isAnswered = true;
  });
  await loops;
  // Otherwise the answer came only after the loops had given up.
  expect(isAnswered).toBe(true);
  await answer;
  server.close();
});

test("a loop continues at once while its turn is short, and rejects with the reason of an abort", async () => {
  const controller = new AbortController();
  const turn = new Turn(controller.signal);
  controller.abort(new Error("enough"));
  await turn.pass();
  work();
  await expect(turn.pass()).rejects.toThrow("enough");
});
