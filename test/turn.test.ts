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

test("while several loops run, other tasks run after each turn of one loop", async () => {
  const LOOPS = 5;
  let works = 0;
  let most = 0;
  let left = LOOPS;
  const loop = async (): Promise<void> => {
    const turn = new Turn();
    for (let i = 0; i < 4; i++) {
      work();
      works++;
      await turn.pass();
    }
    left--;
  };
  const loops = Array.from({ length: LOOPS }, loop);
  for (let before = works; left > 0; before = works) {
    await new Promise((resolve) => setImmediate(resolve));
    most = Math.max(most, works - before);
  }
  await Promise.all(loops);
  expect(works).toBe(LOOPS * 4);
  expect(most).toBe(1);
});

test("each of several loops gets its turns", async () => {
  const order: number[] = [];
  const loop = async (id: number): Promise<void> => {
    const turn = new Turn();
    for (let i = 0; i < 3; i++) {
      work();
      order.push(id);
      await turn.pass();
    }
  };
  await Promise.all([loop(1), loop(2), loop(3)]);
  expect(order).toEqual([1, 2, 3, 1, 2, 3, 1, 2, 3]);
});

test("a loop that has had few turns comes before those that have had many", async () => {
  const order: string[] = [];
  const loop = async (name: string, turns: number): Promise<void> => {
    const turn = new Turn(undefined, turns);
    for (let i = 0; i < 2; i++) {
      work();
      await turn.pass();
      order.push(name);
    }
  };
  await Promise.all([loop("old", 100), loop("older", 200), loop("new", 0)]);
  expect(order).toEqual(["new", "new", "old", "older", "old", "older"]);
});

test("a loop continues at once while its turn is short, and rejects with the reason of an abort", async () => {
  const controller = new AbortController();
  const turn = new Turn(controller.signal);
  work();
  await turn.pass();
  controller.abort(new Error("enough"));
  await turn.pass();
  work();
  await expect(turn.pass()).rejects.toThrow("enough");
});
