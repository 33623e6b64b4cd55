import { afterEach, describe, expect, test } from "vitest";
import { deleteStore, openStore, type Progress, type Store } from "../../src/index.ts";

const opened: Store[] = [];
const tabs: Worker[] = [];
afterEach(async () => {
  for (const store of opened.splice(0)) await store.close();
  for (const tab of tabs.splice(0)) tab.terminate();
});

/**
 * Starts a thread that stands for another tab with an older version of the page. It has version 1
 * of the database open, and closes it only on request.
 */
async function oldTab(name: string): Promise<{ close(): Promise<void> }> {
  const script = `
    const request = indexedDB.open(${JSON.stringify(`tvix-store-web:${name}`)}, 1);
    request.onupgradeneeded = () => {
      for (const store of ["chunks", "blobs", "directories", "pathInfos"]) request.result.createObjectStore(store);
    };
    request.onsuccess = () => postMessage("open");
    onmessage = () => {
      request.result.close();
      postMessage("closed");
    };
  `;
  const tab = new Worker(URL.createObjectURL(new Blob([script], { type: "text/javascript" })));
  tabs.push(tab);
  const said = () => new Promise((resolve) => tab.addEventListener("message", resolve, { once: true }));
  await said();
  return {
    async close() {
      tab.postMessage("close");
      await said();
    },
  };
}

/** Collects the phases that only wait. */
function noted(): { readonly phases: string[]; readonly onProgress: (progress: Progress) => void } {
  const phases: string[] = [];
  return {
    phases,
    onProgress({ phase, unit, loaded }) {
      if (unit === "none" && loaded === 0) phases.push(phase);
    },
  };
}

async function state(promise: Promise<unknown>): Promise<unknown> {
  return Promise.race([promise.then(() => "done"), new Promise((resolve) => setTimeout(resolve, 200, "waits"))]);
}

describe("while another tab has an older version open", () => {
  test("`openStore` reports that it waits, and opens when that tab closes the database", async () => {
    const name = crypto.randomUUID();
    const old = await oldTab(name);
    const { phases, onProgress } = noted();
    const opening = openStore(name, { workers: 1, onProgress });
    await expect.poll(() => phases, { timeout: 10_000 }).toContain("waiting for another tab");
    expect(await state(opening)).toBe("waits");
    await old.close();
    const store = await opening;
    opened.push(store);
    expect((await store.importFile(new Blob(["text"]), { name: "text" })).storePath).toMatch(/-text$/);
  });

  test("an aborted `openStore` stops waiting, and doesn't block others", async () => {
    const name = crypto.randomUUID();
    const old = await oldTab(name);
    const controller = new AbortController();
    const reason = { why: "the user left" };
    const onProgress = (): void => controller.abort(reason);
    await expect(openStore(name, { workers: 1, signal: controller.signal, onProgress })).rejects.toBe(reason);
    await old.close();
    const store = await openStore(name, { workers: 1 });
    opened.push(store);
    expect((await store.usage()).storePaths).toBe(0);
  });

  test("`deleteStore` reports that it waits, and stops waiting at an abort", async () => {
    const name = crypto.randomUUID();
    const old = await oldTab(name);
    const controller = new AbortController();
    const reason = { why: "the user left" };
    const { phases, onProgress } = noted();
    const deleting = deleteStore(name, { signal: controller.signal, onProgress });
    await expect.poll(() => phases, { timeout: 10_000 }).toEqual(["waiting for another tab"]);
    controller.abort(reason);
    await expect(deleting).rejects.toBe(reason);
    const again = deleteStore(name);
    expect(await state(again)).toBe("waits");
    await old.close();
    await again;
    const store = await openStore(name, { workers: 1 });
    opened.push(store);
    expect((await store.usage()).storePaths).toBe(0);
  });
});

test("a store that opens at once reports no wait", async () => {
  const phases: string[] = [];
  opened.push(await openStore(crypto.randomUUID(), { workers: 1, onProgress: ({ phase }) => phases.push(phase) }));
  expect(phases).toEqual([]);
});
