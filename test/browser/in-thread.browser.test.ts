import { expect, test } from "vitest";
import { openStore as openInThread } from "../../src/in-thread.ts";
import { openStore } from "../../src/index.ts";

/** A page stands for a service worker here: it has no synchronous access to files either. */
test("a store in the calling thread shares what a page's worker wrote, and the other way", async () => {
  const name = crypto.randomUUID();
  const workerUrl = new URL("../../src/worker/store-worker.ts", import.meta.url);
  const hashWorkerUrl = new URL("../../src/worker/hash-worker.ts", import.meta.url);
  const page = await openStore(name, { workerUrl, hashWorkerUrl });
  const here = await openInThread(name);
  expect(here.storage).toBe("indexeddb");

  const theirs = await page.importDirectory([new File(["from the page"], "a")], { name: "theirs" });
  const read = await here.file(theirs.storePath, "a");
  expect(await read?.text()).toBe("from the page");

  const changed = new Promise((resolve) => page.addEventListener("change", resolve, { once: true }));
  const ours = await here.importDirectory([new File(["from this thread"], "b")], { name: "ours" });
  await changed;
  const readThere = await page.file(ours.storePath, "b");
  expect(await readThere?.text()).toBe("from this thread");
  expect(await page.verify()).toMatchObject({ corrupt: [], missing: [], storePaths: [] });

  await here.close();
  await expect(here.usage()).rejects.toMatchObject({ code: "closed" });
  await page.close();
});
