import { expect, test } from "vitest";
import { HashPool } from "../../src/hash/pool.ts";
import { spawnHashWorker } from "../../src/worker/spawn-hash-worker.ts";
import { StoreServer } from "../../src/worker/store-server.ts";
import { failAt, watchResources } from "../browser/watched-resources.browser.ts";

const hashWorkerUrl = new URL("../../src/worker/hash-worker.ts", import.meta.url).href;
const OPTIONS = { storage: "auto", durability: "relaxed", workers: 2 } as const;

function makeServer(): StoreServer {
  return new StoreServer(({ workers }) => new HashPool(workers, () => spawnHashWorker(hashWorkerUrl)));
}

test.each(["worker", "database", "channel", "transaction"])("a failed step of `open` leaves nothing: %s", async (kind) => {
  const name = crypto.randomUUID();
  let failures = 0;
  for (let isOpen = false; !isOpen; ) {
    const { failing, hasFailed } = failAt(kind, failures);
    const resources = watchResources(failing);
    const server = makeServer();
    try {
      await server.open(name, OPTIONS);
      // A step may fail without harm, such as the removal of old packs.
      isOpen = !hasFailed();
    } catch (error) {
      expect(hasFailed(), String(error)).toBe(true);
      await expect.poll(() => resources.left()).toEqual([]);
      await expect(server.maintenance.usage()).rejects.toMatchObject({ code: "closed" });
    } finally {
      if (isOpen) expect(resources.acquired).toEqual({ worker: 2, channel: 1, database: 1 });
      await server.close();
      await expect.poll(() => resources.left()).toEqual([]);
      resources.restore();
    }
    failures++;
  }
  // The last run is the one without a failure.
  expect(failures).toBeGreaterThan({ worker: 2, database: 1, channel: 1, transaction: 3 }[kind] ?? 0);
  await makeServer().destroy(name);
});
