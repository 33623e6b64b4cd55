import { join } from "node:path";
import type { BrowserContext, Locator, Page } from "@playwright/test";
import type { TvixStoreViewer } from "../../src/elements/index.ts";
import { showSize } from "../../src/elements/size.ts";
import { expect, openBrowser, ROOT, startDaemon, test } from "./fixtures.ts";

declare global {
  interface Window {
    /** Number of times that the page asked the browser to keep its data. */
    persistAsked: number;
  }
}

async function openViewer(context: BrowserContext, url: string): Promise<Page> {
  const page = await context.newPage();
  await page.addInitScript(() => {
    window.persistAsked = 0;
    const { persist } = StorageManager.prototype;
    StorageManager.prototype.persist = function () {
      window.persistAsked++;
      return persist.call(this);
    };
  });
  await page.goto(url);
  await expect(page.getByText("Available offline")).toBeVisible();
  return page;
}

async function openSample(page: Page): Promise<void> {
  await page.getByRole("button", { name: "Open the sample" }).click();
  await expect(page.getByRole("listbox", { name: "Store paths" }).getByRole("option")).toHaveCount(11);
}

async function openPanel(page: Page): Promise<Locator> {
  await page.getByRole("button", { name: "Storage" }).click();
  return page.getByRole("complementary", { name: "Storage" });
}

function figure(panel: Locator, term: string): Locator {
  return panel.locator(`dt:text-is("${term}") + dd`);
}

/** Size of all objects in bytes, as the store reports it. */
async function stored(page: Page): Promise<number> {
  return page
    .locator("tvix-store-viewer")
    .evaluate(async (viewer) => (await (viewer as TvixStoreViewer).store?.usage())?.stored ?? 0);
}

async function packs(page: Page): Promise<{ name: string; size: number }[]> {
  return page.evaluate(async () => {
    const root = await (await navigator.storage.getDirectory()).getDirectoryHandle("tvix-store-web");
    const found: { name: string; size: number }[] = [];
    for await (const file of (await root.getDirectoryHandle("main")).values()) {
      if (file.kind === "file") found.push({ name: file.name, size: (await (file as FileSystemFileHandle).getFile()).size });
    }
    return found;
  });
}

/** Closes the store, and inverts a byte in the middle of its largest pack. */
async function damage(page: Page): Promise<void> {
  await page.locator("tvix-store-viewer").evaluate((viewer) => (viewer as TvixStoreViewer).store?.close());
  const [largest] = (await packs(page)).sort((a, b) => b.size - a.size);
  await page.evaluate(async (name) => {
    const root = await (await navigator.storage.getDirectory()).getDirectoryHandle("tvix-store-web");
    const handle = await (await root.getDirectoryHandle("main")).getFileHandle(name);
    const file = await handle.getFile();
    const position = Math.floor(file.size / 2);
    const [byte = 0] = new Uint8Array(await file.slice(position, position + 1).arrayBuffer());
    const writable = await handle.createWritable({ keepExistingData: true });
    await writable.write({ type: "write", position, data: new Uint8Array([byte ^ 0xff]) });
    await writable.close();
  }, largest?.name ?? "");
}

test("the panel shows the store's usage, collects garbage, verifies, and asks the browser to keep data", async ({
  daemon,
  dir,
}) => {
  const context = await openBrowser(join(dir, "profile"));
  try {
    const page = await openViewer(context, daemon.url);
    expect(await page.evaluate(() => window.persistAsked)).toBe(0);
    await openSample(page);
    await expect.poll(() => page.evaluate(() => window.persistAsked)).toBe(1);

    let panel = await openPanel(page);
    await expect(figure(panel, "Kept in")).toContainText("OPFS");
    await expect(figure(panel, "Store paths")).toHaveText("11");
    const all = await stored(page);
    expect(all).toBeGreaterThan(0);
    await expect(figure(panel, "Stored").locator(".figure")).toHaveText(showSize(all));
    await expect(figure(panel, "On disk")).toContainText(/^\S+ \S+ in \d+ packs?/);
    await expect(figure(panel, "This site").getByRole("meter")).toBeVisible();

    await panel.getByRole("button", { name: "Check everything" }).click();
    await expect(panel.getByText(/^Everything is as it should be: \d+ objects/)).toBeVisible();

    // A deletion without the panel changes the figures, but leaves the garbage until a collection.
    await page.locator("tvix-store-viewer").evaluate(async (viewer) => {
      const { store } = viewer as TvixStoreViewer;
      for await (const { storePath } of store?.pathInfos() ?? []) {
        if (storePath.endsWith("-doc")) await store?.delete(storePath);
      }
    });
    await expect(figure(panel, "Store paths")).toHaveText("10");
    expect(await stored(page)).toBe(all);
    await panel.getByRole("button", { name: "Collect garbage" }).click();
    await expect(panel.getByText(/^Freed .*: \d+ objects?\.$/)).toBeVisible();
    const less = await stored(page);
    expect(less).toBeLessThan(all);
    await expect(figure(panel, "Stored").locator(".figure")).toHaveText(showSize(less));
    await panel.getByRole("button", { name: "Collect garbage" }).click();
    await expect(panel.getByText("There was no garbage.")).toBeVisible();
    await panel.getByRole("button", { name: "Close" }).click();

    // A deletion in the viewer frees the storage at once.
    await page.getByRole("listbox", { name: "Store paths" }).getByRole("option").first().click();
    await page.getByRole("button", { name: "Delete…" }).click();
    await page.getByRole("button", { name: "Delete", exact: true }).click();
    await expect(page.getByText(/^Deleted .* freed\./)).toBeVisible();
    panel = await openPanel(page);
    await expect(figure(panel, "Store paths")).toHaveText("9");
    expect(await stored(page)).toBeLessThan(less);
    await panel.getByRole("button", { name: "Check everything" }).click();
    await expect(panel.getByText(/^Everything is as it should be/)).toBeVisible();

    await panel.getByRole("button", { name: "Ask to keep" }).click();
    await expect(panel.getByText(/has promised to keep|did not promise/)).toBeVisible();
    expect(await page.evaluate(() => window.persistAsked)).toBe(2);
  } finally {
    await context.close();
  }
});

test("an inverted byte in a pack is reported and repaired from the daemon", async ({ dir }) => {
  const daemon = await startDaemon(join(dir, "daemon"), "--preload", join(ROOT, "test/fixtures/sample"));
  const context = await openBrowser(join(dir, "profile"));
  try {
    const page = await openViewer(context, daemon.url);
    await openSample(page);
    await damage(page);
    await page.reload();

    const panel = await openPanel(page);
    await panel.getByRole("button", { name: "Check everything" }).click();
    await expect(panel.getByRole("alert")).toContainText(/\d objects? damaged/);
    await expect(panel.getByRole("list", { name: "Damaged" }).getByRole("listitem").first()).toContainText(
      /^(chunk|directory|file content) b3:/,
    );
    await expect(panel.getByRole("list", { name: "Affected store paths" }).getByRole("link").first()).toHaveText(/^\/nix\/store\//);

    // A failed repair leaves the findings visible.
    await page.route("**/tvix.**", (route) => route.abort());
    await panel.getByRole("button", { name: "Fetch again from the daemon" }).click();
    await expect(panel.locator(".task").getByRole("alert")).toBeVisible();
    await expect(panel.getByRole("list", { name: "Damaged" })).toBeVisible();
    await page.unrouteAll();

    await panel.getByRole("button", { name: "Fetch again from the daemon" }).click();
    await expect(panel.getByText(/^Fetched again: (\d+) of \1 store paths?\.$/)).toBeVisible();
    await expect(panel.getByText(/^Everything is as it should be/)).toBeVisible();
    await expect(panel.getByRole("list", { name: "Damaged" })).toHaveCount(0);
  } finally {
    await context.close();
    await daemon.stop();
  }
});

test("a missing pack is reported at once, and its objects are fetched again", async ({ dir }) => {
  const daemon = await startDaemon(join(dir, "daemon"), "--preload", join(ROOT, "test/fixtures/sample"));
  const context = await openBrowser(join(dir, "profile"));
  try {
    const page = await openViewer(context, daemon.url);
    await openSample(page);
    await page.locator("tvix-store-viewer").evaluate((viewer) => (viewer as TvixStoreViewer).store?.close());
    const [first] = await packs(page);
    await page.evaluate(async (name) => {
      const root = await (await navigator.storage.getDirectory()).getDirectoryHandle("tvix-store-web");
      await (await root.getDirectoryHandle("main")).removeEntry(name);
    }, first?.name ?? "");
    await page.reload();

    await expect(page.getByRole("button", { name: "Storage something was lost" })).toBeVisible();
    const panel = await openPanel(page);
    await expect(panel.getByText("1 pack of this store is missing")).toBeVisible();
    await panel.getByRole("button", { name: "Check everything" }).click();
    await panel.getByRole("button", { name: "Fetch again from the daemon" }).click();
    await expect(panel.getByText(/^Everything is as it should be/)).toBeVisible();
    await expect(panel.getByText("1 pack of this store is missing")).toHaveCount(0);
  } finally {
    await context.close();
    await daemon.stop();
  }
});
