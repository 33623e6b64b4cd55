import { afterEach, describe, expect, test } from "vitest";
import { deleteStore, openStore, type Store } from "../../src/index.ts";
import { listNar, narListingToJson } from "../../src/nix/nar-listing.ts";
import { readAll } from "../conformance/content.ts";
import { SAMPLE_CACHE_URL as CACHE, compressedCacheUrl, otherCacheUrl } from "../conformance/sample-cache-url.ts";

const ROOT = "/nix/store/5d5i1pdv9aii7g0y14fbpbn0xkqvrnx3-hello-tvix-1.0-doc";

/** Source of a derivation. Its store path is content-addressed. */
const ADDRESSED = "/nix/store/v0vs3yl60arf6rv126948zlh7sz3a3cj-hello-tvix-1.0-source";

const text = async (name: string): Promise<string> => (await fetch(new URL(name, CACHE))).text();
const KEY = (await text("public-key")).trim();
const NARINFO = await text("5d5i1pdv9aii7g0y14fbpbn0xkqvrnx3.narinfo");
/** A different key with the same name. */
const OTHER = KEY.replace(/:(.)/, (_, digit: string) => `:${digit === "A" ? "B" : "A"}`);

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

test.each(["filehash-hex", "filehash-sri"])("a page imports from a cache that another program wrote: %s", async (name) => {
  const store = await open();
  const path = "/nix/store/kjm4gb62c7adb0i3xdi62s72dykchqa3-case-lib-1.0";
  // The path is content-addressed, so it needs no key.
  await store.importBinaryCache(otherCacheUrl(name), [path], { trustedPublicKeys: [] });
  expect(await (await store.file(path, "share/text"))?.text()).toBe("lib\n");
});

test("an import without the key or with a different key is denied, unless signatures are not required", async () => {
  const store = await open();
  for (const trustedPublicKeys of [undefined, [], [OTHER]])
    await expect(store.importBinaryCache(CACHE, [ROOT], { trustedPublicKeys })).rejects.toMatchObject({ code: "denied" });
  expect(await store.pathInfo(ROOT)).toBeUndefined();
  await store.importBinaryCache(CACHE, [ROOT], { requireSignatures: false });
  expect(await store.pathInfo(ROOT)).toBeDefined();
});

test("an address that is no cache and a text that is no key are rejected", async () => {
  const store = await open();
  await expect(store.importBinaryCache("nowhere", [ROOT])).rejects.toMatchObject({ code: "invalid" });
  await expect(store.importBinaryCache("http://localhost:9", [ROOT])).rejects.toMatchObject({ code: "unavailable" });
  await expect(store.importBinaryCache(CACHE, [ROOT], { trustedPublicKeys: ["x"] })).rejects.toMatchObject({ code: "invalid" });
});

test("a NAR that Nix compressed becomes the same NAR as from the uncompressed cache", async () => {
  // All compressions share one store, because starting a store takes most of the time.
  const store = await open();
  const nar = await (await fetch(new URL(/^URL: (.*)$/m.exec(NARINFO)?.[1] ?? "", CACHE))).arrayBuffer();
  for (const compression of ["xz", "zstd", "bzip2", "gzip", "br", "lz4", "lzma", "lzip"]) {
    const cache = compressedCacheUrl(compression);
    expect(await (await fetch(`${cache}5d5i1pdv9aii7g0y14fbpbn0xkqvrnx3.narinfo`)).text()).toContain(
      `\nCompression: ${compression}\n`,
    );
    await expect(store.importBinaryCache(cache, [ROOT], { trustedPublicKeys: [OTHER] })).rejects.toMatchObject({ code: "denied" });
    expect(await store.pathInfo(ROOT)).toBeUndefined();
    expect(await store.importBinaryCache(cache, [ROOT], { trustedPublicKeys: [KEY] })).toMatchObject({ paths: 2, reused: 0 });
    expect(await readAll(store.nar(ROOT))).toEqual(new Uint8Array(nar));
    for await (const { storePath } of store.pathInfos()) await store.delete(storePath);
    // Otherwise the next import would find the content in the store.
    await store.collectGarbage();
  }
});

test("references are found by scanning the content", async () => {
  const store = await open();
  await store.importBinaryCache(CACHE, [ROOT], { trustedPublicKeys: [KEY] });
  const references = (await store.pathInfo(ROOT))?.references;
  expect(references).toHaveLength(1);
  expect(await store.scanReferences(ROOT)).toEqual(references);
  expect(await store.scanReferences(ROOT, { candidates: [ROOT] })).toEqual([]);
  await expect(store.scanReferences(ROOT, { candidates: ["x"] })).rejects.toMatchObject({ code: "invalid" });
  const reason = new Error("enough");
  await expect(store.scanReferences(ROOT, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
});

test("each signature is verified: with the right key, a wrong one and an unknown one", async () => {
  const store = await open();
  await store.importBinaryCache(CACHE, [ROOT, ADDRESSED], { trustedPublicKeys: [KEY], closure: false });
  const [signature] = (await store.pathInfo(ROOT))?.signatures ?? [];
  const keyName = "tvix-store-web-sample-1";
  for (const [trustedPublicKeys, state] of [
    [[KEY], "verified"],
    [[OTHER], "wrong"],
    [[KEY.replace("sample", "another")], "unknown"],
    [undefined, "unknown"],
  ] as const) {
    const report = await store.verifySignatures(ROOT, { trustedPublicKeys });
    expect(report).toEqual({ signatures: [{ keyName, state, signature }], contentAddressed: false });
  }
  expect(await store.verifySignatures(ADDRESSED, { trustedPublicKeys: [KEY] })).toMatchObject({
    signatures: [{ keyName, state: "verified" }],
    contentAddressed: true,
  });
  await expect(store.verifySignatures("m51r8pw89afxi119diyi9alqnn300a6m")).rejects.toMatchObject({ code: "not-found" });
  for (const trustedPublicKeys of [["x"], [KEY, OTHER]])
    await expect(store.verifySignatures(ROOT, { trustedPublicKeys })).rejects.toMatchObject({ code: "invalid" });
});

describe("of a store path", () => {
  const PATHS = ["", "share", "share/doc/hello-tvix/logo.png"];

  test("entries beneath it and their ranges are rendered as NARs", async () => {
    const store = await open();
    await store.importBinaryCache(CACHE, [ROOT], { trustedPublicKeys: [KEY], closure: false });
    for (const path of PATHS) {
      const nar = (await readAll(store.nar(ROOT, { path }))) ?? new Uint8Array(0);
      expect(nar.length).toBeGreaterThan(100);
      for (const [offset, length] of [
        [0, 24],
        [1, undefined],
        [undefined, 100],
        [nar.length >> 1, 5000],
        [nar.length - 3, 100],
        [nar.length, 1],
        [50, 0],
      ] as const) {
        const end = length === undefined ? undefined : (offset ?? 0) + length;
        expect(await readAll(store.nar(ROOT, { path, offset, length }))).toEqual(nar.slice(offset, end));
      }
    }
    await expect(readAll(store.nar(ROOT, { path: "share/nothing" }))).rejects.toMatchObject({ code: "not-found" });
    for (const range of [{ offset: -1 }, { offset: 0.5 }, { length: -1 }, { length: Number.NaN }])
      await expect(readAll(store.nar(ROOT, range))).rejects.toMatchObject({ code: "invalid" });
  });

  test("an aborted NAR rejects with the reason", async () => {
    const store = await open();
    await store.importBinaryCache(CACHE, [ROOT], { trustedPublicKeys: [KEY], closure: false });
    const reason = new Error("enough");
    await expect(readAll(store.nar(ROOT, { signal: AbortSignal.abort(reason) }))).rejects.toBe(reason);
    const controller = new AbortController();
    const reader = store.nar(ROOT, { signal: controller.signal }).getReader();
    controller.abort(reason);
    await expect(reader.read()).rejects.toBe(reason);
    expect((await readAll(store.nar(ROOT)))?.length).toBe((await store.pathInfo(ROOT))?.narSize);
  });

  test("its listing is the listing of its NAR", async () => {
    const store = await open();
    await store.importBinaryCache(CACHE, [ROOT], { trustedPublicKeys: [KEY], closure: false });
    for (const path of PATHS) {
      const listing = await store.narListing(ROOT, path);
      expect(listing).toEqual(JSON.parse(narListingToJson(await listNar(store.nar(ROOT, { path })))));
      expect(listing.version).toBe(1);
    }
    await expect(store.narListing(ROOT, "share/nothing")).rejects.toMatchObject({ code: "not-found" });
  });
});
