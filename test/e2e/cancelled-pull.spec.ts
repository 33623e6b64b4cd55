import { join } from "node:path";
import type { TvixStoreViewer } from "../../src/elements/index.ts";
import { expect, openBrowser, test } from "./fixtures.ts";

/** Number of paths that are pulled. */
const PATHS = 5;

test("a cancelled pull keeps the complete store paths, and says so", async ({ libraryPage, daemon, dir }) => {
  const storePaths = await libraryPage.evaluate(
    async ({ url, count }) => {
      const store = await window.tvix.openStore(crypto.randomUUID(), { workers: 1 });
      const infos = [];
      for (let i = 0; i < count; i++) {
        // Content that no other path has, long enough for a request of its own.
        const content = crypto.getRandomValues(new Uint8Array(60_000));
        infos.push(await store.importFile(new Blob([content]), { name: `file-${i}` }));
      }
      const paths = infos.map(({ storePath }) => storePath);
      await store.push(window.tvix.connectRemote(url), paths);
      await store.close();
      return paths;
    },
    { url: daemon.url, count: PATHS },
  );

  const context = await openBrowser(join(dir, "profile"));
  try {
    const page = await context.newPage();
    await page.goto(daemon.url);
    await expect(page.getByText("Available offline")).toBeVisible();
    const stored = (): Promise<number> =>
      page.locator("tvix-store-viewer").evaluate(async (viewer) => {
        let count = 0;
        for await (const _ of (viewer as TvixStoreViewer).store?.pathInfos() ?? []) count++;
        return count;
      });
    // The daemon stops answering after some of the content.
    let reads = 0;
    await page.route("**/tvix.castore.v1.BlobService/Read", async (route) => {
      if (reads++ < PATHS - 2) await route.continue();
    });
    await page.getByRole("button", { name: "Sync" }).click();
    const sync = page.getByRole("complementary", { name: "Sync with a daemon" });
    await sync.getByRole("button", { name: "List paths" }).click();
    const list = sync.getByRole("listbox", { name: "Paths of the daemon" });
    await expect(list.getByRole("option")).toHaveCount(PATHS);
    for (const path of storePaths) await list.getByRole("option", { name: path.slice(44) }).click();
    await sync.getByRole("button", { name: `Pull ${PATHS} paths` }).click();
    await expect.poll(stored).toBe(PATHS - 2);
    await sync.getByRole("button", { name: "Cancel" }).click();
    await expect(sync.getByText("Cancelled. Store paths that were complete by then are kept.")).toBeVisible();
    expect(await stored()).toBe(PATHS - 2);
  } finally {
    await context.close();
  }
});
