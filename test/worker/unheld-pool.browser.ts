/**
 * A worker in which only a running async function refers to a pool. It reports each round, and
 * works until it is terminated.
 */

import { HashPool } from "../../src/hash/pool.ts";
import { spawnHashWorker } from "../../src/worker/spawn-hash-worker.ts";

/**
 * Does each kind of work in turn, so that some hash workers are idle at times. It also makes
 * garbage, to trigger garbage collection.
 */
async function hashOnAndOn(): Promise<void> {
  const pool = new HashPool(2, () => spawnHashWorker(new URL("../../src/worker/hash-worker.ts", import.meta.url).href));
  const big = new Uint8Array(16 * 1024 * 1024);
  const piece = 64 * 1024;
  for (let round = 1; ; round++) {
    const blake3 = await pool.stream("blake3");
    for (let i = 0; i < big.length; i += piece) await blake3.update(big.subarray(i, i + piece));
    await blake3.digest();
    await pool.blake3Many(Array.from({ length: 2000 }, (_, i) => new Uint8Array(500 + i)));
    const sha256 = await pool.stream("sha256");
    await sha256.update(big.subarray(0, 1024 * 1024));
    await sha256.digest();
    globalThis.postMessage(round);
  }
}

void hashOnAndOn();
