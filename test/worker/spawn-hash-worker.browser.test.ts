import { expect, test } from "vitest";

/**
 * Milliseconds for which the workers must survive. Firefox 153 collected such workers within 6
 * seconds.
 */
const DURATION = 8000;
/**
 * Milliseconds without a round that count as a failure. A round takes some 10 ms; starting, and a
 * busy machine, take more.
 */
const SILENCE = 5000;

test("working hash workers are not garbage-collected, although nothing refers to their pool", async () => {
  const worker = new Worker(new URL("./unheld-pool.browser.ts", import.meta.url), { type: "module" });
  let heard = performance.now();
  let rounds = 0;
  worker.onmessage = ({ data }: MessageEvent<number>) => {
    heard = performance.now();
    rounds = data;
  };
  const from = heard;
  try {
    while (performance.now() - from < DURATION) {
      await new Promise((resolve) => setTimeout(resolve, 500));
      expect(performance.now() - heard).toBeLessThan(SILENCE);
    }
    expect(rounds).toBeGreaterThan(0);
  } finally {
    worker.terminate();
  }
});
