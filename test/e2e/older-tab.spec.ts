import { join } from "node:path";
import { expect, openBrowser, test } from "./fixtures.ts";

test("the viewer reports that a tab with an older version blocks it, and continues when that tab closes", async ({
  daemon,
  dir,
}) => {
  const context = await openBrowser(join(dir, "profile"));
  try {
    const older = await context.newPage();
    // Any address of this origin that does not open the store itself.
    await older.goto(`${daemon.url}/nix-cache-info`);
    await older.evaluate(
      () =>
        new Promise<void>((resolve, reject) => {
          const opening = indexedDB.open("tvix-store-web:main", 1);
          opening.onupgradeneeded = () => opening.result.createObjectStore("pathInfos");
          opening.onsuccess = () => resolve();
          opening.onerror = () => reject(opening.error);
        }),
    );
    const page = await context.newPage();
    await page.goto(daemon.url);
    const alert = page.getByRole("alert").filter({ hasText: "Another tab has an older version of this page open" });
    await expect(alert).toBeVisible();
    await older.close();
    await expect(page.getByRole("heading", { name: "This store is empty" })).toBeVisible();
    await expect(alert).toHaveCount(0);
  } finally {
    await context.close();
  }
});
