/**
 * A worker in which only a running async function refers to a pool. It works until it is
 * terminated. After each round, it reports the number of rounds and of garbage collections.
 */

import { HashPool } from "../../src/hash/pool.ts";
import { spawnHashWorker } from "../../src/worker/spawn-hash-worker.ts";

export interface PoolReport {
  rounds: number;
  collections: number;
}

const report: PoolReport = { rounds: 0, collections: 0 };

/** Does each kind of work in turn, so that some hash workers are idle at times. */
async function hashOnAndOn(): Promise<void> {
  const pool = new HashPool(2, () => spawnHashWorker(new URL("../../src/worker/hash-worker.ts", import.meta.url).href));
  const big = new Uint8Array(4 * 1024 * 1024);
  const piece = 64 * 1024;
  for (;;) {
    const blake3 = await pool.stream("blake3");
    for (let i = 0; i < big.length; i += piece) await blake3.update(big.subarray(i, i + piece));
    await blake3.digest();
    await pool.blake3Many(Array.from({ length: 500 }, (_, i) => new Uint8Array(500 + i)));
    const sha256 = await pool.stream("sha256");
    await sha256.update(big.subarray(0, 1024 * 1024));
    await sha256.digest();
    report.rounds++;
    globalThis.postMessage(report);
  }
}

const collected = new FinalizationRegistry(() => {
  report.collections++;
});

/**
 * Makes enough garbage to trigger garbage collections between the tasks of the pool. Each time, the
 * garbage contains an object that is in a cycle with its own listener, as a worker is. Only a
 * complete collection, which would also find an unheld worker, collects such an object.
 */
function makeGarbage(): void {
  const cycle = new EventTarget();
  cycle.addEventListener("message", () => cycle);
  collected.register(cycle, undefined);
  const garbage = new Uint8Array(8 * 1024 * 1024);
  garbage[0] = 1;
}

setInterval(makeGarbage, 1);
void hashOnAndOn();
