import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Page } from "@playwright/test";
import { knownPath, makeTree, narOf, type TreeNode } from "../crash/tree.ts";
import { expect, test } from "./fixtures.ts";

const MiB = 1024 * 1024;
const ROUNDS = 2;

interface Held {
  store: Awaited<ReturnType<typeof window.tvix.openStore>>;
  changes: number;
  stop: boolean;
}

declare global {
  interface Window {
    held: Held;
  }
}

async function openTab(page: Page, url: string, options: { name: string; storage: "auto" | "indexeddb" }): Promise<void> {
  await page.goto(url);
  await page.waitForFunction(() => "tvix" in window);
  await page.evaluate(async ({ name, storage }) => {
    const held: Held = { store: await window.tvix.openStore(name, { storage, workers: 1 }), changes: 0, stop: false };
    held.store.addEventListener("change", () => {
      held.changes++;
    });
    window.held = held;
  }, options);
}

async function importPicked(page: Page, as: "file" | "stream"): Promise<string> {
  return page.evaluate(async (what) => {
    const file = (document.querySelector("#file") as HTMLInputElement).files?.[0];
    if (!file) throw new Error("no file");
    return (await window.held.store.importNar(what === "file" ? file : file.stream(), { name: "tree" })).storePath;
  }, as);
}

/** Collects garbage again and again until the test stops it. Returns the number of collections. */
async function collectOnAndOn(page: Page): Promise<number> {
  return page.evaluate(async () => {
    window.held.stop = false;
    let times = 0;
    for (; !window.held.stop; times++) await window.held.store.collectGarbage();
    return times;
  });
}

async function renderedHash(page: Page, storePath: string): Promise<string> {
  return page.evaluate(async (path) => {
    const nar = await new Response(window.held.store.nar(path) as BodyInit).arrayBuffer();
    return `sha256-${btoa(String.fromCharCode(...new Uint8Array(await crypto.subtle.digest("SHA-256", nar))))}`;
  }, storePath);
}

for (const storage of ["auto", "indexeddb"] as const) {
  test(`two tabs import the same tree while a third collects garbage (${storage})`, async ({ browserContext, repository, dir }) => {
    const tree: TreeNode = {
      kind: "directory",
      entries: [
        ["large", { kind: "file", size: 8 * MiB, seed: 7, executable: false }],
        ["many", makeTree("many", 8)],
      ],
    };
    const nar = narOf(tree);
    const { storePath, narHash } = await knownPath("tree", nar);
    const path = join(dir, "tree.nar");
    await writeFile(path, nar);

    const pages = await Promise.all([1, 2, 3].map(() => browserContext.newPage()));
    const [first, second, third] = pages as [Page, Page, Page];
    try {
      for (const page of pages) await openTab(page, `${repository}/test/e2e/page.html`, { name: `tabs-${storage}`, storage });
      for (const page of [first, second]) await page.setInputFiles("#file", path);

      for (let round = 0; round < ROUNDS; round++) {
        const collecting = collectOnAndOn(third);
        const imported = await Promise.all([importPicked(first, "file"), importPicked(second, "stream")]);
        expect(imported).toEqual([storePath, storePath]);
        await third.evaluate(() => {
          window.held.stop = true;
        });
        expect(await collecting).toBeGreaterThan(0);

        // No object of the tree was collected, in any tab.
        for (const page of pages) expect(await renderedHash(page, storePath)).toBe(narHash);
        await third.evaluate(() => window.held.store.collectGarbage());
        for (const page of pages) expect(await renderedHash(page, storePath)).toBe(narHash);
        await expect.poll(() => third.evaluate(() => window.held.changes)).toBeGreaterThan(0);

        // The next round writes everything again while the objects of this round are collected.
        await second.evaluate((gone) => window.held.store.delete(gone), storePath);
        expect(await first.evaluate(async (gone) => (await window.held.store.pathInfo(gone)) === undefined, storePath)).toBe(true);
      }
      await third.evaluate(() => window.held.store.collectGarbage());
      for (const page of pages) await page.evaluate(() => window.held.store.close());
    } finally {
      for (const page of pages) await page.close();
    }
  });
}
