import { expect, test } from "vitest";
import { deleteStore, openStore } from "../../src/index.ts";
import { failAt, watchResources } from "./watched-resources.browser.ts";

/** Creates the database of a later version of this package, which the worker can't open. */
async function makeLaterVersion(name: string): Promise<void> {
  const request = indexedDB.open(`tvix-store-web:${name}`, 1000);
  await new Promise((resolve, reject) => {
    request.onsuccess = resolve;
    request.onerror = reject;
  });
  request.result.close();
}

test.each([
  ["the worker can't be started", "worker"],
  ["the page can't hear of changes", "channel"],
  ["the worker can't open the database", "in the worker"],
])("`openStore` leaves nothing if %s", async (_, kind) => {
  const name = crypto.randomUUID();
  if (kind === "in the worker") await makeLaterVersion(name);
  const { failing, hasFailed } = failAt(kind, 0);
  const resources = watchResources(failing);
  try {
    await expect(openStore(name, { workers: 1 })).rejects.toThrow();
    expect(hasFailed()).toBe(kind !== "in the worker");
    await expect.poll(() => resources.left()).toEqual([]);
    const waits: string[] = [];
    await deleteStore(name, { onProgress: ({ phase }) => waits.push(phase) });
    expect(waits).toEqual([]);
    const store = await openStore(name, { workers: 1 });
    expect(resources.acquired.channel).toBe(1);
    await store.close();
    await expect.poll(() => resources.left()).toEqual([]);
  } finally {
    resources.restore();
    await deleteStore(name);
  }
});
