import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Page } from "@playwright/test";
import { nix, nixLine } from "../setup/tools.ts";
import { type Daemon, expect, openBrowser, openViewer, ROOT, startDaemon, test } from "./fixtures.ts";

/** Makes a folder such as a person has, and gets its store path and NAR from Nix. */
async function makeFolder(dir: string): Promise<{ folder: string; storePath: string; nar: Buffer }> {
  const folder = join(dir, "site");
  await mkdir(join(folder, "pages/deep"), { recursive: true });
  await writeFile(join(folder, "index.html"), "<h1>A site</h1>\n");
  await writeFile(join(folder, "pages/one.txt"), "The first page.\n");
  await writeFile(join(folder, "pages/deep/large.bin"), Buffer.alloc(3_000_000, "not very random "));
  await writeFile(join(folder, "empty"), "");
  const storePath = await nixLine(["nix-store", "--add", folder], { dir: join(dir, "nix") });
  return { folder, storePath, nar: await nix(["nix-store", "--dump", folder], { dir: join(dir, "nix") }) };
}

async function selectPath(page: Page, name: string): Promise<void> {
  await page.getByRole("listbox", { name: "Store paths" }).getByRole("option", { name }).click();
  await expect(page.getByRole("heading", { level: 2, name })).toBeVisible();
}

async function openFile(page: Page, ...names: string[]): Promise<void> {
  const tree = page.getByRole("tree", { name: "Files" });
  for (const name of names) {
    const item = tree.getByRole("treeitem", { name });
    await item.first().click();
    if ((await item.first().getAttribute("aria-expanded")) === "false") await page.keyboard.press("ArrowRight");
  }
}

async function downloadNar(page: Page): Promise<Buffer> {
  const download = page.waitForEvent("download");
  await page.getByRole("button", { name: "Download NAR" }).click();
  return readFile(await (await download).path());
}

test("in the sample, paths are listed, a file opens, its NARInfo shows, and a path is deleted", async ({ daemon, dir }) => {
  const context = await openBrowser(join(dir, "profile"));
  try {
    const page = await openViewer(context, daemon.url);
    await page.getByRole("button", { name: "Open the sample" }).click();
    await expect(page.getByRole("listbox", { name: "Store paths" }).getByRole("option")).toHaveCount(11);

    await selectPath(page, "hello-tvix-1.0-doc");
    await openFile(page, "manual.txt");
    const manual = await readFile(join(ROOT, "test/fixtures/sample-source/doc/manual.txt"), "utf8").catch(() => undefined);
    await expect(page.getByRole("region", { name: "Content of manual.txt" })).toContainText(
      (manual ?? "hello").split("\n")[0] ?? "",
    );
    await openFile(page, "logo.png");
    const image = page.getByRole("img", { name: "logo.png" });
    await expect(image).toBeVisible();
    expect(await image.evaluate((element) => (element as HTMLImageElement).naturalWidth)).toBeGreaterThan(0);

    await page.getByRole("tab", { name: "Info" }).click();
    const narInfo = page.getByLabel("NARInfo text");
    await expect(narInfo).toContainText("StorePath: /nix/store/");
    await expect(narInfo).toContainText("Sig: tvix-store-web-sample-1:");

    await page.getByRole("button", { name: "Delete…" }).click();
    await page.getByRole("button", { name: "Delete", exact: true }).click();
    await expect(page.getByRole("listbox", { name: "Store paths" }).getByRole("option")).toHaveCount(10);
  } finally {
    await context.close();
  }
});

for (const protocol of ["connect", "grpc-web"] as const) {
  test(`a folder goes through a daemon into another browser, and is available offline there: ${protocol}`, async ({ dir }) => {
    const { folder, storePath, nar } = await makeFolder(dir);
    const dataDir = join(dir, "daemon");
    let daemon: Daemon = await startDaemon(dataDir);

    const first = await openBrowser(join(dir, "first"));
    const sending = await openViewer(first, daemon.url);
    await sending.getByRole("button", { name: "Import", exact: true }).first().click();
    const imports = sending.getByRole("complementary", { name: "Import" });
    await imports.locator("input[name=folder]").setInputFiles(folder);
    await expect(imports.getByLabel("Name of the store path")).toHaveValue("site");
    await imports.getByRole("button", { name: "Import", exact: true }).click();
    await expect(imports.getByText("Imported as")).toBeVisible();
    await expect(imports).toContainText(storePath.slice(11, 30));

    await imports.getByRole("button", { name: "Close" }).click();
    await selectPath(sending, "site");
    await sending.getByRole("button", { name: "Push…" }).click();
    const push = sending.getByRole("complementary", { name: "Sync with a daemon" });
    await push.getByLabel("Protocol").selectOption(protocol);
    await push.getByRole("button", { name: "Push 1 path" }).click();
    await expect(push.getByText(/^Pushed/)).toBeVisible();
    await first.close();

    expect(await daemon.stop()).toBe(0);
    daemon = await startDaemon(dataDir);

    const second = await openBrowser(join(dir, "second"));
    const receiving = await openViewer(second, daemon.url);
    await receiving.getByRole("button", { name: "Sync" }).click();
    const pull = receiving.getByRole("complementary", { name: "Sync with a daemon" });
    await pull.getByLabel("Protocol").selectOption(protocol);
    await pull.getByLabel("Store path, or its hash").fill(storePath);
    await pull.getByRole("button", { name: "Pull 1 path" }).click();
    await expect(pull.getByText(/^Pulled/)).toBeVisible();
    await second.close();

    // There is no daemon and no network any more.
    expect(await daemon.stop()).toBe(0);
    const offline = await openBrowser(join(dir, "second"));
    await offline.setOffline(true);
    const page = await offline.newPage();
    await page.goto(daemon.url);
    await selectPath(page, "site");
    await openFile(page, "pages", "one.txt");
    await expect(page.getByRole("region", { name: "Content of one.txt" })).toContainText("The first page.");
    const downloaded = await downloadNar(page);
    expect(downloaded.equals(nar)).toBe(true);
    await offline.close();
  });
}
