import { appendFile, mkdir, rm, truncate, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Page } from "@playwright/test";
import { tarOf } from "../fixtures/trees.ts";
import { expect, test } from "./fixtures.ts";

const SHORT = "some content\n";
const LONG = "some content\n".repeat(50_000);

/** Changes to a file between the moment when it is picked and the moment when it is read. */
const CHANGES: Record<string, (path: string, content: string) => Promise<void>> = {
  "is gone": (path) => rm(path),
  "is emptied": (path) => truncate(path, 0),
  "is emptied, and has the time that it had": async (path) => {
    await truncate(path, 0);
    await utimes(path, LONG_AGO, LONG_AGO);
  },
  "is cut short": (path, content) => truncate(path, content.length - 1),
  "is cut short, and has the time that it had": async (path, content) => {
    await truncate(path, content.length - 1);
    await utimes(path, LONG_AGO, LONG_AGO);
  },
  "has grown": (path) => appendFile(path, "more"),
  "is replaced by one of its length": async (path, content) => {
    await rm(path);
    await writeFile(path, content.toUpperCase());
  },
  "is written anew, the same": (path, content) => writeFile(path, content),
};
const LONG_AGO = new Date("2020-01-01T00:00:00Z");

interface Outcome {
  readonly error: { readonly code: unknown; readonly message: string } | undefined;
  readonly storePaths: number;
  readonly stored: number;
}

type Import = "folder" | "tar" | "nar" | "nario" | "file" | "blob";

/** Imports the selected files of the page's inputs. */
async function importPicked(page: Page, what: Import): Promise<Outcome> {
  return page.evaluate(async (kind) => {
    const files = (id: string): FileList => (document.querySelector(id) as HTMLInputElement).files as FileList;
    const store = await window.tvix.openStore(crypto.randomUUID(), { workers: 1 });
    let error: Outcome["error"];
    try {
      if (kind === "folder") await store.importDirectory(files("#folder"), { name: "picked" });
      else {
        const file = files("#file")[0] as File;
        if (kind === "tar") await store.importTar(file, { name: "picked" });
        else if (kind === "nar") await store.importNar(file, { name: "picked" });
        else if (kind === "nario") await store.importNario(file);
        else if (kind === "file") await store.importFile(file, { name: "picked" });
        else await store.importBlob(file, { pin: "picked" });
      }
    } catch (caught) {
      error = { code: window.tvix.isStoreError(caught) ? caught.code : String(caught), message: String(caught) };
    }
    const { storePaths, stored } = await store.usage();
    await store.close();
    return { error, storePaths, stored };
  }, what);
}

/**
 * Shows the sizes of picked files, as some pages do. Chromium looks up a file's size at this point,
 * and not when the file is picked.
 */
async function showSizes(page: Page, input: string): Promise<void> {
  await page.evaluate((id) => {
    for (const file of (document.querySelector(id) as HTMLInputElement).files ?? []) document.title = `${file.size}`;
  }, input);
}

for (const [change, apply] of Object.entries(CHANGES)) {
  for (const [length, content] of Object.entries({ short: SHORT, long: LONG })) {
    for (const shown of [true, false]) {
      // The browser can't detect these changes, because it had not looked up the size before.
      if (!shown && change.includes("the time that it had")) continue;
      const when = shown ? "after the page showed its size" : "at once";
      test(`a ${length} file of a picked folder that ${change} ${when} is an error`, async ({ libraryPage: page, dir }) => {
        const folder = join(dir, "folder");
        await mkdir(join(folder, "sub"), { recursive: true });
        for (const name of ["a", "b", "sub/changed", "sub/z"]) await writeFile(join(folder, name), `${name}\n`);
        const path = join(folder, "sub/changed");
        await writeFile(path, content);
        await utimes(path, LONG_AGO, LONG_AGO);
        await page.setInputFiles("#folder", folder);
        if (shown) await showSizes(page, "#folder");
        await apply(path, content);
        const { error, ...left } = await importPicked(page, "folder");
        expect(error?.code).toBe("unavailable");
        expect(error?.message).toContain("sub/changed");
        expect(left).toEqual({ storePaths: 0, stored: 0 });
      });
    }
  }
}

test("an empty file of a picked folder is an error if it is gone, and imported if it exists", async ({
  libraryPage: page,
  dir,
}) => {
  const folder = join(dir, "folder");
  await mkdir(folder);
  for (const name of ["full", "empty", "gone"]) await writeFile(join(folder, name), name === "full" ? "content" : "");
  await page.setInputFiles("#folder", folder);
  expect((await importPicked(page, "folder")).error).toBeUndefined();
  await rm(join(folder, "gone"));
  const { error } = await importPicked(page, "folder");
  expect(error).toMatchObject({ code: "unavailable", message: expect.stringContaining('"gone"') });
});

for (const kind of ["tar", "nar", "nario", "file", "blob"] as const) {
  test(`a picked file that changes before it is imported as ${kind} is an error`, async ({ libraryPage: page, dir }) => {
    const tree = join(dir, "tree");
    await mkdir(tree);
    await writeFile(join(tree, "file"), LONG);
    const content = kind === "tar" ? await tarOf(tree) : Buffer.from(LONG);
    for (const [change, apply] of Object.entries(CHANGES)) {
      const path = join(dir, "picked.bin");
      await writeFile(path, content);
      await utimes(path, LONG_AGO, LONG_AGO);
      await page.setInputFiles("#file", path);
      await showSizes(page, "#file");
      // The content has the same number of bytes.
      await apply(path, "x".repeat(content.length));
      const { error, ...left } = await importPicked(page, kind);
      // Wrong bytes at the start of a NAR or nario are detected before the end of the file.
      const codes = kind === "nar" || kind === "nario" ? ["unavailable", "invalid"] : ["unavailable"];
      expect(codes, change).toContain(error?.code);
      if (error?.code === "unavailable") expect(error.message, change).toContain("picked.bin");
      expect(left, change).toEqual({ storePaths: 0, stored: 0 });
    }
  });
}
