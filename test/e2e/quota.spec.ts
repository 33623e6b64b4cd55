import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { CDPSession, Page } from "@playwright/test";
import { knownPath, makeTree, narOf, type TreeNode } from "../crash/tree.ts";
import { expect, openBrowser, test } from "./fixtures.ts";

const MiB = 1024 * 1024;

async function setQuota(page: Page, session: CDPSession, quotaSize: number): Promise<void> {
  await session.send("Storage.overrideQuotaForOrigin", { origin: new URL(page.url()).origin, quotaSize });
}

/** Imports the picked file. Returns the hash of the NAR, or the code of the error. */
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

/** All store paths with the hashes of their rendered NARs. */
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
  test(`an import that exceeds the quota leaves the store unchanged (${storage})`, async ({ repository, dir }) => {
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

    // This test needs a browser of its own, because Chromium remembers an earlier quota for a
    // while.
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

      // The objects of the failed import are garbage.
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
