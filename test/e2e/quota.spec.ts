import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { CDPSession, Page } from "@playwright/test";
import { knownPath, makeTree, narOf, type TreeNode } from "../crash/tree.ts";
import { expect, openBrowser, test } from "./fixtures.ts";

const MiB = 1024 * 1024;

async function setQuota(page: Page, session: CDPSession, quotaSize: number): Promise<void> {
  await session.send("Storage.overrideQuotaForOrigin", { origin: new URL(page.url()).origin, quotaSize });
}

/** What came of importing the picked file: the NAR's hash, or the error's code. */
async function importPicked(page: Page, name: string): Promise<string> {
  return page.evaluate(async (as) => {
    const store = Reflect.get(window, "store") as Awaited<ReturnType<typeof window.tvix.openStore>>;
    const file = (document.querySelector("#file") as HTMLInputElement).files?.[0];
    if (!file) throw new Error("no file");
    try {
      return (await store.importNar(file, { name: as })).narHash;
    } catch (error) {
      if (!window.tvix.isStoreError(error)) throw error;
      return error.code;
    }
  }, name);
}

/** All that is listed, each with the hash of its NAR as it is rendered. */
async function rendered(page: Page): Promise<Record<string, string>> {
  return page.evaluate(async () => {
    const store = Reflect.get(window, "store") as Awaited<ReturnType<typeof window.tvix.openStore>>;
    const hashes: Record<string, string> = {};
    for await (const { storePath } of store.pathInfos()) {
      const nar = await new Response(store.nar(storePath) as BodyInit).arrayBuffer();
      const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", nar));
      hashes[storePath] = `sha256-${btoa(String.fromCharCode(...digest))}`;
    }
    return hashes;
  });
}

for (const storage of ["auto", "indexeddb"] as const) {
  test(`an import that meets the quota leaves the store as it was (${storage})`, async ({ repository, dir }) => {
    const large: TreeNode = {
      kind: "directory",
      entries: [
        ["a", { kind: "file", size: 40 * MiB, seed: 1, executable: false }],
        ["b", { kind: "file", size: 40 * MiB, seed: 2, executable: false }],
        ["c", makeTree("many", 3)],
      ],
    };
    const largeNar = narOf(large);
    const smallNar = narOf(makeTree("many", 4));
    const largePath = await knownPath("large", largeNar);
    const smallPath = await knownPath("small", smallNar);
    await writeFile(join(dir, "large.nar"), largeNar);
    await writeFile(join(dir, "small.nar"), smallNar);

    // One of its own: Chromium believes for a while what room a database was last told to have.
    const context = await openBrowser(join(dir, "profile"));
    try {
      const page = await context.newPage();
      await page.goto(`${repository}/test/e2e/page.html`);
      await page.waitForFunction(() => "tvix" in window);
      const session = await context.newCDPSession(page);
      await setQuota(page, session, 40 * MiB);
      await page.evaluate(async (where) => {
        Object.assign(window, { store: await window.tvix.openStore("quota", { storage: where, workers: 1 }) });
      }, storage);
      await page.setInputFiles("#file", join(dir, "small.nar"));
      expect(await importPicked(page, "small")).toBe(smallPath.narHash);

      await page.setInputFiles("#file", join(dir, "large.nar"));
      expect(await importPicked(page, "large")).toBe("quota");
      expect(await rendered(page)).toEqual({ [smallPath.storePath]: smallPath.narHash });

      // What the import had written is garbage.
      await page.evaluate(async () => {
        await (Reflect.get(window, "store") as Awaited<ReturnType<typeof window.tvix.openStore>>).collectGarbage();
      });
      expect(await rendered(page)).toEqual({ [smallPath.storePath]: smallPath.narHash });

      await setQuota(page, session, 400 * MiB);
      expect(await importPicked(page, "large")).toBe(largePath.narHash);
      expect(await rendered(page)).toEqual({
        [smallPath.storePath]: smallPath.narHash,
        [largePath.storePath]: largePath.narHash,
      });
      await page.evaluate(async () => {
        await (Reflect.get(window, "store") as Awaited<ReturnType<typeof window.tvix.openStore>>).close();
      });
    } finally {
      await context.close();
    }
  });
}
