import { existsSync, readdirSync, readFileSync } from "node:fs";
import { cp, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createMemoryStore } from "../../src/backends/memory.ts";
import { toBase64, toHex } from "../../src/bytes.ts";
import { parseNarInfo } from "../../src/nix/narinfo.ts";
import { importBinaryCacheDir } from "../../src/node/binary-cache-dir.ts";
import { NodeHashEngine } from "../../src/node/node-hash-engine.ts";
import { BinaryCache } from "../../src/store/binary-cache.ts";
import type { PathInfo } from "../../src/store/path-info.ts";
import { substitutePaths } from "../../src/store/substitute.ts";
import type { TrustPolicy } from "../../src/store/trust.ts";

const FIXTURES = join(import.meta.dirname, "../fixtures");
const engine = new NodeHashEngine();
/** A path with a right content address needs no signature. */
const NOBODY: TrustPolicy = { keys: [] };

async function importedFromDir(dir: string): Promise<PathInfo[]> {
  const infos: PathInfo[] = [];
  for await (const info of importBinaryCacheDir(createMemoryStore(), engine, dir)) infos.push(info);
  return infos;
}

/** Imports a path of a cache directory over HTTP. */
async function importedFromHttp(dir: string, storePath: string, trust: TrustPolicy): Promise<PathInfo | undefined> {
  const cache = new BinaryCache("https://cache.test/", {
    fetch: async (request) => {
      const file = join(dir, new URL(String(request)).pathname);
      return existsSync(file) ? new Response(readFileSync(file)) : new Response("", { status: 404 });
    },
  });
  const store = createMemoryStore();
  await substitutePaths(store, cache, [storePath], { engine, trust });
  return store.pathInfos.get(storePath.slice(11, 43));
}

describe.each(readdirSync(join(FIXTURES, "caches")))("%s", (name) => {
  const dir = join(FIXTURES, "caches", name);

  test("is imported from a directory and over HTTP, without a key", async () => {
    const [info, ...more] = await importedFromDir(dir);
    expect(more).toEqual([]);
    expect(info).toMatchObject({
      storePath: "/nix/store/kjm4gb62c7adb0i3xdi62s72dykchqa3-case-lib-1.0",
      ca: "fixed:r:sha256:1d2vjjyp7gl8ih8sm50x03ajk64ykrj8ywybz5v02pfabc20a4xa",
    });
    expect(await importedFromHttp(dir, info?.storePath ?? "", NOBODY)).toEqual(info);
  });
});

test("a cache of Nix 2.34 is imported, with self-references and content-addressed paths", async () => {
  const dir = join(FIXTURES, "nix-2.34/cache");
  const infos = await importedFromDir(dir);
  expect(infos).toHaveLength(5);
  for (const info of infos) {
    const trust = info.ca === undefined ? "all" : NOBODY;
    expect(await importedFromHttp(dir, info.storePath, trust)).toEqual(info);
  }
});

describe("a NARInfo in another form", () => {
  const original = join(FIXTURES, "caches/filehash-hex");
  const narInfoName = "kjm4gb62c7adb0i3xdi62s72dykchqa3.narinfo";
  const text = readFileSync(join(original, narInfoName), "utf8");
  const { storePath, narHash } = parseNarInfo(text);
  const base64 = toBase64(narHash.digest);
  const hex = toHex(narHash.digest);
  const replaced = (tag: string, value: string) => text.replace(new RegExp(`^${tag}: .*$`, "m"), () => `${tag}: ${value}`);

  let dir: string;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), "tvix-cache-"));
    await cp(original, dir, { recursive: true });
  });
  afterEach(() => rm(dir, { recursive: true, force: true }));

  async function imported(narInfo: string, trust: TrustPolicy = NOBODY): Promise<PathInfo> {
    await writeFile(join(dir, narInfoName), narInfo);
    const [info] = await importedFromDir(dir);
    expect(await importedFromHttp(dir, storePath, trust)).toEqual(info);
    return info as PathInfo;
  }

  test.each([
    ["FileHash", hex.toUpperCase()],
    ["FileHash", base64],
    ["NarHash", hex],
    ["NarHash", base64],
    ["CA", hex],
    ["CA", base64],
  ])("%s sha256:%s", async (tag, digest) => {
    const value = `sha256:${digest}`;
    expect(await imported(replaced(tag, tag === "CA" ? `fixed:r:${value}` : value))).toEqual(await imported(text));
  });

  test.each(["FileHash", "NarHash"])("%s as SRI without padding", async (tag) => {
    expect(await imported(replaced(tag, `sha256-${base64.slice(0, -1)}`))).toEqual(await imported(text));
  });

  test("a FileHash with another algorithm is checked with it", async () => {
    const nar = readFileSync(join(original, /^URL: (.*)$/m.exec(text)?.[1] ?? ""));
    for (const algorithm of ["md5", "sha1", "sha512", "blake3"] as const) {
      const hash = await engine.stream(algorithm);
      await hash.update(nar);
      expect(await imported(replaced("FileHash", `${algorithm}-${toBase64(await hash.digest())}`))).toEqual(await imported(text));
    }
    await writeFile(join(dir, narInfoName), replaced("FileHash", `sha1-${toBase64(new Uint8Array(20))}`));
    await expect(importedFromHttp(dir, storePath, NOBODY)).rejects.toMatchObject({ code: "corrupt" });
  });

  test("FileSize 0 means an unknown size", async () => {
    expect(await imported(replaced("FileSize", "0"))).toEqual(await imported(text));
  });

  test("a deriver without .drv", async () => {
    const deriver = "6icpx8gdi93ciw7h7jl1vk7pv4c4xr6l-case-lib-1.0";
    expect((await imported(text.replace("CA: ", `Deriver: ${deriver}\nCA: `))).deriver).toBe(deriver);
  });

  test("a path with an unknown kind of content address needs a signature", async () => {
    const unknown = replaced("CA", "fixed:tar:sha256:1d2vjjyp7gl8ih8sm50x03ajk64ykrj8ywybz5v02pfabc20a4xa");
    expect((await imported(unknown, "all")).ca).toBeUndefined();
    await expect(importedFromHttp(dir, storePath, NOBODY)).rejects.toMatchObject({ code: "denied" });
  });
});
