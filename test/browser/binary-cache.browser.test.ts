import { afterEach, expect, test } from "vitest";
import { deleteStore, openStore, type Store } from "../../src/index.ts";
import { readAll } from "../conformance/content.ts";
import { SAMPLE_CACHE_URL as CACHE } from "../conformance/sample-cache-url.ts";

const ROOT = "/nix/store/5d5i1pdv9aii7g0y14fbpbn0xkqvrnx3-hello-tvix-1.0-doc";

const text = async (name: string): Promise<string> => (await fetch(new URL(name, CACHE))).text();
const KEY = (await text("public-key")).trim();
const NARINFO = await text("5d5i1pdv9aii7g0y14fbpbn0xkqvrnx3.narinfo");

const opened: [string, Store][] = [];
afterEach(async () => {
  for (const [name, store] of opened.splice(0)) {
    await store.close();
    await deleteStore(name);
  }
});

async function open(): Promise<Store> {
  const name = crypto.randomUUID();
  const store = await openStore(name, { workers: 1 });
  opened.push([name, store]);
  return store;
}

test("a page imports a closure that a trusted key signed, and renders the cache's NAR of it", async () => {
  const store = await open();
  const loaded: number[] = [];
  const report = await store.importBinaryCache(CACHE, [ROOT], {
    trustedPublicKeys: [KEY],
    onProgress: (progress) => loaded.push(progress.loaded),
  });
  expect(report).toMatchObject({ reused: 0 });
  expect(report.paths).toBeGreaterThan(1);
  expect(loaded.at(-1)).toBe(report.bytes);
  const info = await store.pathInfo(ROOT);
  expect(info?.signatures[0]).toContain("tvix-store-web-sample-1:");
  const nar = await fetch(new URL(/^URL: (.*)$/m.exec(NARINFO)?.[1] ?? "", CACHE));
  expect(await readAll(store.nar(ROOT))).toEqual(new Uint8Array(await nar.arrayBuffer()));
  for (const reference of info?.references ?? []) expect(await store.pathInfo(reference)).toBeDefined();
  expect(await store.importBinaryCache(CACHE, [ROOT], { trustedPublicKeys: [KEY] })).toMatchObject({ paths: 0, bytes: 0 });
});

test("without the key, or with another one, nothing comes; unless no signature is wanted", async () => {
  const store = await open();
  const other = KEY.replace(/:(.)/, (_, digit: string) => `:${digit === "A" ? "B" : "A"}`);
  for (const trustedPublicKeys of [undefined, [], [other]])
    await expect(store.importBinaryCache(CACHE, [ROOT], { trustedPublicKeys })).rejects.toMatchObject({ code: "denied" });
  expect(await store.pathInfo(ROOT)).toBeUndefined();
  await store.importBinaryCache(CACHE, [ROOT], { requireSignatures: false });
  expect(await store.pathInfo(ROOT)).toBeDefined();
});

test("what is no cache, and what is no key, is said", async () => {
  const store = await open();
  await expect(store.importBinaryCache("nowhere", [ROOT])).rejects.toMatchObject({ code: "invalid" });
  await expect(store.importBinaryCache("http://localhost:9", [ROOT])).rejects.toMatchObject({ code: "unavailable" });
  await expect(store.importBinaryCache(CACHE, [ROOT], { trustedPublicKeys: ["x"] })).rejects.toMatchObject({ code: "invalid" });
});
