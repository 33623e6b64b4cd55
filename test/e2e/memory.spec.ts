import { createHash, randomFillSync } from "node:crypto";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { join } from "node:path";
import { utf8 } from "../../src/bytes.ts";
import { NarWriter } from "../../src/nix/nar-writer.ts";
import { expect, test } from "./fixtures.ts";
import { dedicatedWorkers, rendererMemory } from "./renderers.ts";

const MiB = 1024 * 1024;
const SIZE = 1024 * MiB;

/**
 * Writes the NAR of a directory with one file of `SIZE` random bytes. Returns its SHA-256 in SRI
 * form.
 */
async function writeLargeNar(path: string): Promise<string> {
  const hash = createHash("sha256");
  const file = createWriteStream(path);
  let full = false;
  const writer = new NarWriter((bytes) => {
    // The buffer is filled again before the disk has written it, so this is a copy.
    const copy = Buffer.from(bytes);
    hash.update(copy);
    full = !file.write(copy);
  });
  const piece = new Uint8Array(MiB);
  writer.directory();
  writer.entry(utf8("large"));
  writer.file(SIZE, false);
  for (let written = 0; written < SIZE; written += piece.length) {
    writer.content(randomFillSync(piece));
    if (full) await once(file, "drain");
  }
  writer.endFile();
  writer.leave();
  writer.end();
  file.end();
  await once(file, "close");
  return `sha256-${hash.digest("base64")}`;
}

test("a file of 1 GiB is imported in less than 256 MiB, and rendered without being held in memory", async ({
  libraryPage: page,
  dir,
}) => {
  test.setTimeout(600_000);
  const path = join(dir, "large.nar");
  const narHash = await writeLargeNar(path);
  await page.setInputFiles("#file", path);
  await page.evaluate(async () => {
    const store = await window.tvix.openStore("memory");
    await store.pathInfo("00000000000000000000000000000000");
    Object.assign(window, { store });
  });

  const before = await rendererMemory();
  expect(before).toBeGreaterThan(MiB);
  let peak = before;
  const watch = setInterval(async () => {
    peak = Math.max(peak, await rendererMemory());
  }, 100);
  const started = performance.now();
  const imported = await page.evaluate(async () => {
    const store = Reflect.get(window, "store") as Awaited<ReturnType<typeof window.tvix.openStore>>;
    const file = (document.querySelector("#file") as HTMLInputElement).files?.[0];
    if (!file) throw new Error("no file");
    const info = await store.importNar(file, { name: "large" });
    return { storePath: info.storePath, narHash: info.narHash };
  });
  const importSeconds = (performance.now() - started) / 1000;
  const afterImport = peak;
  expect(imported.narHash).toBe(narHash);
  const renderedSize = await page.evaluate(async (storePath) => {
    const store = Reflect.get(window, "store") as Awaited<ReturnType<typeof window.tvix.openStore>>;
    const reader = store.nar(storePath).getReader();
    let size = 0;
    for (let result = await reader.read(); !result.done; result = await reader.read()) size += result.value.length;
    await store.delete(storePath);
    await store.collectGarbage();
    await store.close();
    return size;
  }, imported.storePath);
  clearInterval(watch);
  expect(renderedSize).toBeGreaterThan(SIZE);
  console.log(
    `1 GiB imported in ${importSeconds.toFixed(1)} s; renderer: ${Math.round(before / MiB)} MiB before, ${Math.round(afterImport / MiB)} at most during it, ${Math.round(peak / MiB)} while rendering`,
  );
  expect(afterImport - before).toBeLessThan(256 * MiB);
  // Bytes that the page received remain until garbage collection, but they are less than the file.
  expect(peak - before).toBeLessThan(SIZE);
});

// Each worker that stays keeps 8 GiB of the address space for its WebAssembly memory, of which
// Chromium gives all pages of a site some 1.3 TiB.
test("opening and closing stores leaves no workers behind", async ({ libraryPage: page }) => {
  const before = await dedicatedWorkers();
  await page.evaluate(async () => {
    for (let i = 0; i < 20; i++) {
      const store = await window.tvix.openStore("workers", { workers: 4 });
      await store.importFile(new Blob(["content"]), { name: "file" });
      await store.close();
    }
  });
  // Chromium ends threads late.
  await expect.poll(dedicatedWorkers).toBeLessThan(before + 8);
});
