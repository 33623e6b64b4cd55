import { cpSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createMemoryStore } from "../../src/backends/memory.ts";
import { importBinaryCacheDir } from "../../src/node/binary-cache-dir.ts";
import { NodeHashEngine } from "../../src/node/node-hash-engine.ts";
import { closureOf } from "../../src/store/closure.ts";
import type { StoreServices } from "../../src/store/services.ts";
import { failure } from "../store/fixtures.ts";
import { openFilesIn, tellsOpenFiles } from "./open-files.ts";

const SAMPLE = fileURLToPath(new URL("../fixtures/sample", import.meta.url));
const engine = new NodeHashEngine();

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "tvix-cache-"));
  cpSync(SAMPLE, dir, { recursive: true });
});
afterEach(() => rm(dir, { recursive: true, force: true }));

async function importAll(store: StoreServices): Promise<string[]> {
  const paths: string[] = [];
  for await (const { storePath } of importBinaryCacheDir(store, engine, dir)) paths.push(storePath);
  return paths;
}
const readIndex = async (): Promise<string[]> => JSON.parse(await readFile(join(dir, "index.json"), "utf8"));

test("imports a cache in the order of its index, and nothing the second time", async () => {
  const store = createMemoryStore();
  const paths = await importAll(store);
  expect(paths.map((path) => `${path.slice(11, 43)}.narinfo`)).toEqual(await readIndex());
  expect(await closureOf(store.pathInfos, paths)).toHaveLength(paths.length);
  expect(await importAll(store)).toEqual([]);
});

test("imports a cache without an index, dependencies first", async () => {
  const index = await readIndex();
  await rm(join(dir, "index.json"));
  const store = createMemoryStore();
  const seen = new Set<string>();
  for await (const info of importBinaryCacheDir(store, engine, dir)) {
    seen.add(info.storePath.slice(11));
    for (const reference of info.references) expect(seen).toContain(reference);
  }
  expect(seen.size).toBe(index.length);
});

test("reads compressed NARs", async () => {
  const [first] = await readIndex();
  await writeFile(join(dir, "index.json"), JSON.stringify([first]));
  const info = await readFile(join(dir, first as string), "utf8");
  const url = /^URL: (.*)$/m.exec(info)?.[1] as string;
  await writeFile(join(dir, "a.nar.gz"), gzipSync(await readFile(join(dir, url))));
  await writeFile(
    join(dir, first as string),
    info.replace(/^URL: .*$/m, "URL: a.nar.gz").replace("Compression: none", "Compression: gzip"),
  );
  expect(await importAll(createMemoryStore())).toHaveLength(1);
});

test("detects damaged NARs, and keeps none of them", async () => {
  const [first] = await readIndex();
  const url = /^URL: (.*)$/m.exec(await readFile(join(dir, first as string), "utf8"))?.[1] as string;
  const nar = await readFile(join(dir, url));
  nar[nar.indexOf("contents") + 20] = 0xff;
  await writeFile(join(dir, url), nar);
  const store = createMemoryStore();
  await expect(importAll(store)).rejects.toMatchObject({ code: "corrupt" });
  for await (const info of store.pathInfos.list()) expect.fail(info.storePath);
  await rm(join(dir, url));
  await expect(importAll(store)).rejects.toMatchObject({ code: "not-found" });
});

describe("the error for an unreadable file names", () => {
  /** Replaces a file by a directory. */
  async function replace(name: string): Promise<string> {
    const path = join(dir, name);
    await rm(path);
    await mkdir(path);
    return path;
  }
  async function firstNar(change: (text: string) => string = (text) => text): Promise<string> {
    const [first] = await readIndex();
    await writeFile(join(dir, "index.json"), JSON.stringify([first]));
    const text = await readFile(join(dir, first as string), "utf8");
    await writeFile(join(dir, first as string), change(text));
    return /^URL: (.*)$/m.exec(text)?.[1] as string;
  }
  const expectNamed = async (path: string, code = "invalid"): Promise<void> => {
    const error = await failure(importAll(createMemoryStore()));
    expect(error).toMatchObject({ name: "StoreError", code });
    expect(String(error)).toContain(path);
  };

  test("index.json", async () => expectNamed(await replace("index.json")));

  test("a NARInfo", async () => {
    const [first] = await readIndex();
    await expectNamed(await replace(first as string));
    await rm(join(dir, first as string), { recursive: true });
    await expectNamed(join(dir, first as string), "not-found");
    await writeFile(join(dir, first as string), "x: y\n".repeat(300_000));
    await expectNamed(join(dir, first as string));
  });

  test.each(["none", "gzip", "xz", "zstd", "bzip2"])("a NAR, compressed with %s", async (compression) => {
    const url = await firstNar((text) => text.replace("Compression: none", `Compression: ${compression}`));
    await expectNamed(await replace(url));
  });

  test("unknown compression is refused", async () => {
    await firstNar((text) => text.replace("Compression: none", "Compression: no-such"));
    expect(await failure(importAll(createMemoryStore()))).toMatchObject({ name: "StoreError", code: "invalid" });
    // A stream opens its file in a later turn.
    await new Promise((resolve) => setTimeout(resolve, 0));
    if (tellsOpenFiles) expect(openFilesIn(dir)).toBe(0);
  });
});

test.each(["../x.nar", "/etc/passwd", "nar/../../x.nar", "https://example.org/x.nar"])("does not read the URL %s", async (url) => {
  const [first] = await readIndex();
  const path = join(dir, first as string);
  await writeFile(path, (await readFile(path, "utf8")).replace(/^URL: .*$/m, `URL: ${url}`));
  await expect(importAll(createMemoryStore())).rejects.toMatchObject({ code: "invalid" });
});

test.each(['["../../x.narinfo"]', "{}", "[", "[1]"])("refuses the index %s", async (index) => {
  await writeFile(join(dir, "index.json"), index);
  await expect(importAll(createMemoryStore())).rejects.toMatchObject({ code: "invalid" });
});
