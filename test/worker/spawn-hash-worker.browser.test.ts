import { expect, test } from "vitest";
import type { PoolReport } from "./unheld-pool.browser.ts";

/** Garbage collections that the workers must survive. The first that could find them is enough. */
const COLLECTIONS = 3;

test("working hash workers are not garbage-collected, although nothing refers to their pool", async () => {
  const worker = new Worker(new URL("./unheld-pool.browser.ts", import.meta.url), { type: "module" });
  let last: PoolReport = { rounds: 0, collections: 0 };
  worker.onmessage = ({ data }: MessageEvent<PoolReport>) => {
    last = data;
  };
  try {
    // Reports come only from working hash workers.
    await expect.poll(() => last.collections, { timeout: 30_000 }).toBeGreaterThanOrEqual(COLLECTIONS);
    const { rounds } = last;
    await expect.poll(() => last.rounds, { timeout: 30_000 }).toBeGreaterThan(rounds);
  } finally {
    worker.terminate();
  }
});
