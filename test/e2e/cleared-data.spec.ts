import { writeFile } from "node:fs/promises";
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { BrowserContext, Page } from "@playwright/test";
import { knownPath, makeTree, narOf } from "../crash/tree.ts";
import { expect, openBrowser, test } from "./fixtures.ts";

interface OpenTab {
  store: Awaited<ReturnType<typeof window.tvix.openStore>>;
  changes: number;
}

declare global {
  interface Window {
    tab: OpenTab;
    /** Returns the code of the StoreError that a call rejects with, or else its result. */
    outcomeOf: (call: () => Promise<unknown>) => Promise<string>;
  }
}

const NAME = "cleared";
/** Milliseconds within which a call must settle. */
const PATIENCE = 10_000;

async function openTab(context: BrowserContext, url: string, nar: string, unindexedPacks = 0): Promise<Page> {
  const page = await context.newPage();
  await loadPage(page, url, nar);
  expect(await openStore(page)).toEqual({ evicted: false, missingPacks: 0, unindexedPacks });
  return page;
}

async function loadPage(page: Page, url: string, nar: string): Promise<void> {
  await page.goto(`${url}/test/e2e/page.html`);
  await page.waitForFunction(() => "tvix" in window);
  await page.setInputFiles("#file", nar);
  await page.evaluate((patience) => {
    window.outcomeOf = async (call) => {
      const late = new Promise<string>((resolve) => setTimeout(resolve, patience, "no answer"));
      const outcome = call().then(
        (value) => String(value),
        (error: unknown) => (window.tvix.isStoreError(error) ? error.code : `no StoreError: ${error}`),
      );
      return Promise.race([outcome, late]);
    };
  }, PATIENCE);
}

/** @returns the losses that the store reports */
async function openStore(page: Page): Promise<OpenTab["store"]["losses"]> {
  return page.evaluate(async (name) => {
    const tab: OpenTab = { store: await window.tvix.openStore(name, { workers: 1 }), changes: 0 };
    tab.store.addEventListener("change", () => {
      tab.changes++;
    });
    window.tab = tab;
    return tab.store.losses;
  }, NAME);
}

async function importPicked(page: Page, name = "tree"): Promise<string> {
  return page.evaluate(async (as) => {
    const file = (document.querySelector("#file") as HTMLInputElement).files?.[0] as File;
    return window.outcomeOf(async () => (await window.tab.store.importNar(file, { name: as })).storePath);
  }, name);
}

/** Returns the hash of the rendered NAR, or the code of the error. */
async function rendered(page: Page, storePath: string): Promise<string> {
  return page.evaluate(async (path) => {
    return window.outcomeOf(async () => {
      const reader = window.tab.store.nar(path).getReader();
      const parts: Uint8Array[] = [];
      for (let next = await reader.read(); !next.done; next = await reader.read()) parts.push(next.value);
      const digest = await crypto.subtle.digest("SHA-256", await new Blob(parts as BlobPart[]).arrayBuffer());
      return `sha256-${btoa(String.fromCharCode(...new Uint8Array(digest)))}`;
    });
  }, storePath);
}

/** Returns the outcome of each kind of call. */
async function everyCall(page: Page, storePath: string): Promise<Record<string, string>> {
  return page.evaluate(async (path) => {
    const { store } = window.tab;
    const list = async (items: AsyncIterable<unknown>): Promise<number> => {
      let count = 0;
      for await (const _ of items) count++;
      return count;
    };
    const small = new Blob(["small"]);
    const calls: Record<string, () => Promise<unknown>> = {
      pathInfo: () => store.pathInfo(path),
      pathInfos: () => list(store.pathInfos()),
      list: () => list(store.list(path)),
      file: () => store.file(path, "blob-0"),
      nar: () => store.nar(path).getReader().read(),
      narListing: () => store.narListing(path),
      usage: () => store.usage(),
      verify: () => store.verify(),
      collectGarbage: () => store.collectGarbage(),
      importFile: () => store.importFile(small, { name: "small" }),
      importBlob: () => store.importBlob(small, { pin: "small" }),
      pins: () => store.pins(),
      delete: () => store.delete(path),
    };
    const outcomes: Record<string, string> = {};
    for (const [name, call] of Object.entries(calls)) outcomes[name] = await window.outcomeOf(call);
    return outcomes;
  }, storePath);
}

/**
 * @param what storage types of the DevTools protocol, or `header` for a response with
 *   Clear-Site-Data
 */
async function clearData(page: Page, what: string): Promise<void> {
  if (what === "header") {
    await page.evaluate(async () => (await fetch("/clear")).text());
    return;
  }
  const session = await page.context().newCDPSession(page);
  await session.send("Storage.clearDataForOrigin", { origin: new URL(page.url()).origin, storageTypes: what });
  await session.detach();
}

/**
 * Starts a proxy to `target` that answers one address itself, with Clear-Site-Data. The header has
 * no effect in responses that Playwright makes.
 */
async function clearingServer(target: string): Promise<{ url: string; close(): void }> {
  const server = createServer((incoming, answer) => {
    if (incoming.url === "/clear") {
      answer.writeHead(200, { "clear-site-data": '"storage"' }).end("cleared");
      return;
    }
    const passed = request(`${target}${incoming.url}`, (response) => {
      answer.writeHead(response.statusCode ?? 500, response.headers);
      response.pipe(answer);
    });
    passed.on("error", () => answer.destroy()).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  // Only a secure context may clear its data. A page at this host name is one.
  return { url: `http://localhost:${(server.address() as AddressInfo).port}`, close: () => server.close() };
}

async function isClean(page: Page): Promise<void> {
  const { corrupt, missing, storePaths } = await page.evaluate(() => window.tab.store.verify());
  expect({ corrupt, missing, storePaths }).toEqual({ corrupt: [], missing: [], storePaths: [] });
}

interface World {
  context: BrowserContext;
  url: string;
  /** A NAR, and its store path. */
  nar: string;
  storePath: string;
  narHash: string;
}

const worldly = test.extend<{ world: World }>({
  world: async ({ repository, dir }, use) => {
    const nar = join(dir, "tree.nar");
    const bytes = narOf(makeTree("blobs", 3));
    await writeFile(nar, bytes);
    const { storePath, narHash } = await knownPath("tree", bytes);
    const server = await clearingServer(repository);
    const context = await openBrowser(join(dir, "profile"));
    await use({ context, url: server.url, nar, storePath, narHash });
    await context.close();
    server.close();
  },
});

for (const what of ["all", "indexeddb", "header"]) {
  worldly(
    `a store whose data is cleared (${what}) while pages have it open is closed, and opens again empty`,
    async ({ world }) => {
      const { context, url, nar, storePath, narHash } = world;
      const pages = [await openTab(context, url, nar), await openTab(context, url, nar)] as const;
      const [first, second] = pages;
      expect(await importPicked(first)).toBe(storePath);
      for (const page of pages) expect(await rendered(page, storePath)).toBe(narHash);

      await clearData(first, what);
      // While the data is being cleared, a pack may still be open. A read gives the right bytes, or
      // fails.
      expect([narHash, "closed", "unavailable", "corrupt"]).toContain(await rendered(second, storePath));
      for (const page of pages) {
        await expect.poll(() => page.evaluate(() => window.tab.store.losses.evicted)).toBe(true);
        const outcomes = await everyCall(page, storePath);
        expect(new Set(Object.values(outcomes)), JSON.stringify(outcomes)).toEqual(new Set(["closed"]));
        expect(await page.evaluate(() => window.tab.changes)).toBeGreaterThan(0);
      }

      // The store opens again in the same page, in a reloaded page and in a new page. In Chromium
      // the same page does not share locks with its new worker.
      const unindexedPacks = what === "indexeddb" ? 1 : 0;
      expect(await openStore(first)).toEqual({ evicted: true, missingPacks: 0, unindexedPacks });
      await loadPage(second, url, nar);
      expect((await openStore(second)).missingPacks).toBe(0);
      const third = await openTab(context, url, nar, unindexedPacks);
      expect(await first.evaluate(() => window.outcomeOf(async () => (await window.tab.store.usage()).storePaths))).toBe("0");
      expect(await importPicked(first)).toBe(storePath);
      for (const page of [first, second, third]) expect(await rendered(page, storePath)).toBe(narHash);
      expect(await importPicked(third, "other")).not.toBe(storePath);
      await third.evaluate(() => window.tab.store.collectGarbage());
      // This is long enough for a worker to be declared dead.
      await first.waitForTimeout(4000);
      for (const page of [first, second, third]) {
        expect(await rendered(page, storePath)).toBe(narHash);
        await isClean(page);
      }
    },
  );
}

worldly("a page that is loaded again after its data was cleared reports the loss", async ({ world }) => {
  const { context, url, nar, storePath } = world;
  const page = await openTab(context, url, nar);
  expect(await importPicked(page)).toBe(storePath);
  await clearData(page, "all");
  await expect.poll(() => page.evaluate(() => window.tab.store.losses.evicted)).toBe(true);
  await loadPage(page, url, nar);
  expect(await openStore(page)).toEqual({ evicted: true, missingPacks: 0, unindexedPacks: 0 });
  // The loss is reported once.
  await loadPage(page, url, nar);
  expect(await openStore(page)).toEqual({ evicted: false, missingPacks: 0, unindexedPacks: 0 });
});

worldly("a store that was closed when its data was cleared reports the loss to the page that had opened it", async ({ world }) => {
  const { context, url, nar } = world;
  const page = await openTab(context, url, nar);
  await page.evaluate(() => window.tab.store.close());
  await clearData(page, "all");
  expect(await openStore(page)).toEqual({ evicted: true, missingPacks: 0, unindexedPacks: 0 });
  // A store that was deleted deliberately, here or in another page, is not lost.
  const other = await context.newPage();
  await loadPage(other, url, nar);
  await other.evaluate((name) => window.tvix.deleteStore(name), NAME);
  expect(await openStore(page)).toEqual({ evicted: false, missingPacks: 0, unindexedPacks: 0 });
});

for (const what of ["all", "indexeddb", "file_systems"]) {
  worldly(`an import during which data is cleared (${what}) fails or succeeds as a whole`, async ({ world }) => {
    const { context, url, nar, storePath, narHash } = world;
    const page = await openTab(context, url, nar);
    // The import has written its own packs, and relies on some that existed.
    await page.evaluate(() => window.tab.store.importFile(new Blob(["known"]), { name: "known" }));
    const importing = await page.evaluateHandle(async () => {
      const file = (document.querySelector("#file") as HTMLInputElement).files?.[0] as File;
      let goOn = (): void => {};
      const held = new Promise<void>((resolve) => {
        goOn = resolve;
      });
      let reached = (): void => {};
      const atEnd = new Promise<void>((resolve) => {
        reached = resolve;
      });
      const stream = file.stream().pipeThrough(
        new TransformStream<Uint8Array, Uint8Array>({
          async flush() {
            reached();
            await held;
          },
        }),
      );
      const outcome = window.outcomeOf(async () => (await window.tab.store.importNar(stream, { name: "tree" })).storePath);
      await atEnd;
      return { goOn, outcome };
    });
    await clearData(page, what);
    await importing.evaluate(({ goOn }) => goOn());
    const outcome = await importing.evaluate(({ outcome }) => outcome);
    // If nothing was written before, the store can create the files again. It can't create the
    // database again.
    if (what !== "file_systems" || outcome !== storePath) expect(["closed", "unavailable", "conflict"]).toContain(outcome);

    await loadPage(page, url, nar);
    await openStore(page);
    if (outcome === storePath) expect(await rendered(page, storePath)).toBe(narHash);
    else expect(await page.evaluate(async (path) => window.tab.store.pathInfo(path), storePath)).toBeUndefined();
    expect(await importPicked(page)).toBe(storePath);
    expect(await rendered(page, storePath)).toBe(narHash);
    await loadPage(page, url, nar);
    await openStore(page);
    expect(await rendered(page, storePath)).toBe(narHash);
  });
}

worldly("after only the files were cleared, content is written again when it is imported again", async ({ world }) => {
  const { context, url, nar, storePath, narHash } = world;
  const pages = [await openTab(context, url, nar), await openTab(context, url, nar)] as const;
  const [first] = pages;
  expect(await importPicked(first)).toBe(storePath);
  // The first page has read the path and has handles open. The other page has not.
  expect(await rendered(first, storePath)).toBe(narHash);
  await clearData(first, "file_systems");
  for (const page of pages) {
    expect([narHash, "corrupt"]).toContain(await rendered(page, storePath));
    const outcomes = await everyCall(page, "00000000000000000000000000000000");
    for (const [call, outcome] of Object.entries(outcomes)) expect(outcome, call).not.toMatch(/^no /);
  }
  for (const [i, page] of pages.entries()) expect(await importPicked(page, `again-${i}`)).toMatch(/^\/nix\/store\//);
  const paths = [await importPicked(first), ...(await Promise.all(pages.map((page, i) => importPicked(page, `again-${i}`))))];
  await loadPage(first, url, nar);
  expect((await openStore(first)).evicted).toBe(false);
  for (const path of paths) expect(await rendered(first, path)).toBe(narHash);
  const { storePaths } = await first.evaluate(() => window.tab.store.verify());
  for (const path of paths) expect(storePaths).not.toContain(path);
});
