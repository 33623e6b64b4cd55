import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { nix } from "../setup/tools.ts";
import { expect, openBrowser, openViewer, test } from "./fixtures.ts";

test("all store paths are saved to one file, and loaded from it into Nix and into another browser", async ({ daemon, dir }) => {
  const file = join(dir, "store.nario");
  const first = await openBrowser(join(dir, "first"));
  const saving = await openViewer(first, daemon.url);
  await saving.getByRole("button", { name: "Storage" }).click();
  const storage = saving.getByRole("complementary", { name: "Storage" });
  await expect(storage.getByRole("button", { name: "Save all store paths" })).toBeDisabled();
  await storage.getByRole("button", { name: "Close" }).click();
  await saving.getByRole("button", { name: "Open the sample" }).click();
  const paths = saving.getByRole("listbox", { name: "Store paths" }).getByRole("option");
  await expect(paths).toHaveCount(11);
  const names = (await paths.allTextContents()).sort();
  await saving.getByRole("button", { name: "Storage" }).click();
  const downloading = saving.waitForEvent("download");
  await storage.getByRole("button", { name: "Save all store paths" }).click();
  const download = await downloading;
  expect(download.suggestedFilename()).toBe("store.nario");
  await download.saveAs(file);
  await expect(storage.getByText("Saved 11 store paths.")).toBeVisible();
  await first.close();

  const imported = await nix(["nix-store", "--import"], { dir: join(dir, "nix"), input: await readFile(file) });
  expect(imported.toString().trim().split("\n")).toHaveLength(11);

  const second = await openBrowser(join(dir, "second"));
  const loading = await openViewer(second, daemon.url);
  await loading.getByRole("button", { name: "Import", exact: true }).first().click();
  const imports = loading.getByRole("complementary", { name: "Import" });
  await imports.locator("input[name=archive]").setInputFiles(file);
  await expect(imports.getByLabel("Kind of archive")).toHaveValue("nario");
  await expect(imports.getByLabel("Name of the store path")).toBeHidden();
  await imports.getByRole("button", { name: "Import", exact: true }).click();
  await expect(imports.getByText("Imported 11 store paths.")).toBeVisible();
  const loaded = loading.getByRole("listbox", { name: "Store paths" }).getByRole("option");
  await expect(loaded).toHaveCount(11);
  expect((await loaded.allTextContents()).sort()).toEqual(names);
  await second.close();
});
