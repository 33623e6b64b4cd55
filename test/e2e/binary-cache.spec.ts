import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { BrowserContext, Locator, Page } from "@playwright/test";
import type { TvixStoreViewer } from "../../src/elements/index.ts";
import { serveFolder } from "../setup/serve-folder.ts";
import { test as base, expect, openBrowser, ROOT } from "./fixtures.ts";

const DOC = "/nix/store/5d5i1pdv9aii7g0y14fbpbn0xkqvrnx3-hello-tvix-1.0-doc";
const ADDRESSED = "/nix/store/v0vs3yl60arf6rv126948zlh7sz3a3cj-hello-tvix-1.0-source";
const KEY_NAME = "tvix-store-web-sample-1";
const KEY = (await readFile(join(ROOT, "test/fixtures/sample/public-key"), "utf8")).trim();
/** A different key with the same name. */
const WRONG = KEY.replace(/:(.)/, (_, digit: string) => `:${digit === "A" ? "B" : "A"}`);

/**
 * Opens the viewer in a browser of its own. `fixturesUrl` serves test/fixtures from another origin.
 */
const test = base.extend<{ page: Page; fixturesUrl: string }>({
  page: async ({ daemon, dir }, use) => {
    const context: BrowserContext = await openBrowser(join(dir, "profile"));
    const page = await context.newPage();
    await page.goto(daemon.url);
    await expect(page.getByText("Available offline")).toBeVisible();
    await use(page);
    await context.close();
  },
  // biome-ignore lint/correctness/noEmptyPattern: Playwright wants to see a pattern.
  fixturesUrl: async ({}, use) => {
    const server = await serveFolder(join(ROOT, "test/fixtures"));
    await use(server.url);
    server.close();
  },
});

async function openForm(page: Page, cache: string, storePaths: string): Promise<Locator> {
  await page.getByRole("button", { name: "Import", exact: true }).first().click();
  const form = page.getByRole("region", { name: "From a binary cache" });
  await form.getByLabel("Address of the binary cache").fill(cache);
  await form.getByLabel("Store paths, or their hashes").fill(storePaths);
  return form;
}

/** Names of all store paths in the store. */
async function stored(page: Page): Promise<string[]> {
  return page.locator("tvix-store-viewer").evaluate(async (viewer) => {
    const paths: string[] = [];
    for await (const { storePath } of (viewer as TvixStoreViewer).store?.pathInfos() ?? []) paths.push(storePath);
    return paths;
  });
}

async function openInfo(page: Page): Promise<Locator> {
  await page.getByRole("tab", { name: "Info" }).click();
  return page.getByRole("tabpanel");
}

test("a closure is imported from an xz-compressed cache only with the right key, and shows its signer", async ({
  page,
  fixturesUrl,
}) => {
  const form = await openForm(page, `${fixturesUrl}compressed/xz`, DOC);
  const keys = form.getByRole("list", { name: "Trusted public keys" });
  await form.getByLabel("Add a public key").fill(WRONG);
  await page.keyboard.press("Enter");
  await expect(keys.getByRole("listitem")).toHaveCount(1);
  await form.getByRole("button", { name: "Import 1 path" }).click();
  await expect(form.getByRole("alert")).toContainText(`signed by ${KEY_NAME}, but not with the trusted key of that name`);
  expect(await stored(page)).toEqual([]);

  await form.getByRole("button", { name: `Remove ${KEY_NAME}` }).click();
  await expect(keys).toHaveCount(0);
  await form.getByRole("button", { name: "Import 1 path" }).click();
  await expect(form.getByRole("alert")).toContainText("whose key is not among the trusted ones");
  expect(await stored(page)).toEqual([]);

  // The key was typed but not added. The import uses it too.
  await form.getByLabel("Add a public key").fill(KEY);
  await form.getByRole("button", { name: "Import 1 path" }).click();
  await expect(form.getByText(/^Imported 2 paths: \d+ KiB of NARs\.$/)).toBeVisible();
  await expect(keys.getByRole("listitem")).toHaveCount(1);
  expect(await stored(page)).toHaveLength(2);
  await form.getByRole("link", { name: "Open hello-tvix-1.0-doc" }).click();
  await page.getByRole("button", { name: "Close" }).click();
  await expect(page.getByRole("heading", { level: 2, name: "hello-tvix-1.0-doc" })).toBeVisible();

  await page.reload();
  const info = await openInfo(page);
  const signatures = info.getByRole("list", { name: "Signatures" });
  await expect(signatures).toHaveText(new RegExp(`^\\s*${KEY_NAME}\\s+✓ verified\\s*$`));
  await expect(info.getByText("content-addressed")).toHaveCount(0);

  await info.getByText("Public keys that you trust").click();
  await info.getByRole("button", { name: `Remove ${KEY_NAME}` }).click();
  await expect(signatures).toContainText("key not known");
  await info.getByLabel("Add a public key").fill("no key");
  await page.keyboard.press("Enter");
  await expect(info.getByText(/^Not a public key/)).toBeVisible();
  await info.getByLabel("Add a public key").fill(WRONG);
  await page.keyboard.press("Enter");
  await expect(signatures).toContainText("wrong");
});

test("unsigned paths are imported on request, and content-addressed ones need no key", async ({ page, fixturesUrl }) => {
  const form = await openForm(page, `${fixturesUrl}sample/`, `${ADDRESSED}\nwhat`);
  await expect(form.getByText("“what” is not a store path.")).toBeVisible();
  await expect(form.getByRole("button", { name: "Import 2 paths" })).toBeDisabled();
  await form.getByLabel("Store paths, or their hashes").fill(ADDRESSED);
  await form.getByRole("button", { name: "Import 1 path" }).click();
  await expect(form.getByText(/^Imported 1 path: /)).toBeVisible();

  await form.getByLabel("Store paths, or their hashes").fill(`${DOC.slice(11, 43)}\n  ${ADDRESSED}`);
  await form.getByLabel("Take paths that none of these keys signed").check();
  await form.getByRole("button", { name: "Import 2 paths" }).click();
  await expect(form.getByText(/^Imported 2 paths: .* 1 path was there already\.$/)).toBeVisible();
  await form.getByRole("link", { name: "Open hello-tvix-1.0-source" }).click();
  await page.getByRole("button", { name: "Close" }).click();
  const info = await openInfo(page);
  await expect(info.getByText("✓ content-addressed")).toBeVisible();
  await expect(info.getByRole("list", { name: "Signatures" })).toContainText("key not known");
});

test("a failed path leaves out only the paths that refer to it, and all of these are listed", async ({ page, fixturesUrl }) => {
  const narInfo = await readFile(join(ROOT, "test/fixtures/sample", `${ADDRESSED.slice(11, 43)}.narinfo`), "utf8");
  const nar = /^URL: (.*)$/m.exec(narInfo)?.[1] ?? "";
  await page.route(`**/${nar}`, (route) => route.fulfill({ status: 404, headers: { "access-control-allow-origin": "*" } }));
  const form = await openForm(page, `${fixturesUrl}sample/`, `${DOC}\n${ADDRESSED}`);
  await form.getByLabel("Take paths that none of these keys signed").check();
  await form.getByRole("button", { name: "Import 2 paths" }).click();
  await expect(form.getByRole("alert")).toContainText(ADDRESSED);
  await expect(form.getByText(/^Imported 2 paths: .* 1 path failed\.$/)).toBeVisible();
  await expect(form.getByRole("link", { name: "Open hello-tvix-1.0-doc" })).toBeVisible();
  expect(await stored(page)).toHaveLength(2);
});

test("an import can be cancelled, and an address that is no cache is an error", async ({ page, fixturesUrl }) => {
  await page.route("**/nar/**", () => {});
  const form = await openForm(page, `${fixturesUrl}sample/`, DOC);
  await form.getByLabel("Take paths that none of these keys signed").check();
  await form.getByRole("button", { name: "Import 1 path" }).click();
  await form.getByRole("button", { name: "Cancel" }).click();
  await expect(form.getByText("Cancelled. Store paths that were complete by then are kept.")).toBeVisible();
  expect(await stored(page)).toEqual([]);

  // The dependencies are imported first, and are complete.
  await page.unroute("**/nar/**");
  const narInfo = await readFile(join(ROOT, "test/fixtures/sample", `${DOC.slice(11, 43)}.narinfo`), "utf8");
  await page.route(`**/${/^URL: (.*)$/m.exec(narInfo)?.[1]}`, () => {});
  await form.getByRole("button", { name: "Import 1 path" }).click();
  await expect.poll(() => stored(page)).toHaveLength(1);
  await form.getByRole("button", { name: "Cancel" }).click();
  await expect(form.getByText("Cancelled. Store paths that were complete by then are kept.")).toBeVisible();
  expect(await stored(page)).toHaveLength(1);

  await form.getByLabel("Address of the binary cache").fill(`${fixturesUrl}nothing/`);
  await form.getByRole("button", { name: "Import 1 path" }).click();
  await expect(form.getByRole("alert")).toContainText("There is no binary cache at");
  await form.getByLabel("Address of the binary cache").fill("http://127.0.0.1:9/");
  await form.getByRole("button", { name: "Import 1 path" }).click();
  await expect(form.getByRole("alert")).toContainText("can't be reached");
});
