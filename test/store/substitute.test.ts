import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { beforeEach, describe, expect, test } from "vitest";
import { createMemoryStore } from "../../src/backends/memory.ts";
import { generateSecretKey } from "../../src/nix/ed25519.ts";
import { parsePublicKey, publicKeyOf } from "../../src/nix/key.ts";
import { parseNarInfo } from "../../src/nix/narinfo.ts";
import { parseHashPart } from "../../src/nix/store-path.ts";
import { compressZstd } from "../../src/node/zstd.ts";
import { BinaryCache } from "../../src/store/binary-cache.ts";
import { renderNar } from "../../src/store/nar.ts";
import type { LocalStoreServices } from "../../src/store/services.ts";
import { type SubstituteOptions, substitutePaths } from "../../src/store/substitute.ts";
import { collect, engine, SAMPLE, sampleNar } from "./fixtures.ts";

const FOLDER = join(import.meta.dirname, "../fixtures/sample");
const KEY = parsePublicKey(readFileSync(join(FOLDER, "public-key"), "utf8").trim());
const INFOS = SAMPLE.map((text) => parseNarInfo(text));
/** A path that refers to built paths, and to itself through none of them. */
const ROOT = INFOS.find(({ ca, references }) => ca === undefined && references.length > 0) as (typeof INFOS)[number];

type Body = ConstructorParameters<typeof Response>[0];
type Answer = (path: string) => Body | number | undefined;

let asked: string[] = [];
let store: LocalStoreServices;
beforeEach(() => {
  asked = [];
  store = createMemoryStore();
});

/** The sample's cache, except for the answers of `answer`. */
function cache(answer: Answer = () => undefined, url = "https://cache.test/some/where"): BinaryCache {
  return new BinaryCache(url, {
    retry: { delay: 1 },
    fetch: async (request) => {
      const path = new URL(String(request)).pathname.replace("/some/where/", "");
      asked.push(path);
      const other = answer(path);
      if (typeof other === "number") return new Response("", { status: other });
      if (other !== undefined) return new Response(other);
      const file = join(FOLDER, path);
      return existsSync(file) ? new Response(readFileSync(file)) : new Response("", { status: 404 });
    },
  });
}

/** The sample's NARInfo of ROOT with changed lines. */
function changed(changes: Record<string, string>): Answer {
  const text = SAMPLE[INFOS.indexOf(ROOT)] ?? "";
  let other = text;
  for (const [tag, value] of Object.entries(changes)) {
    const line = new RegExp(`^${tag}: .*$`, "m");
    other = line.test(other) ? other.replace(line, () => `${tag}: ${value}`) : `${other}${tag}: ${value}\n`;
  }
  return (path) => (path === `${parseHashPart(ROOT.storePath)}.narinfo` ? other : undefined);
}

function substitute(from: BinaryCache, options: Partial<SubstituteOptions> = {}, paths = [ROOT.storePath]) {
  return substitutePaths(store, from, paths, { engine, trust: { keys: [KEY] }, ...options });
}

async function stored(): Promise<string[]> {
  const paths: string[] = [];
  for await (const { storePath } of store.pathInfos.list()) paths.push(storePath);
  return paths;
}

test("a closure is imported with all dependencies, once, and its NARs equal the cache's", async () => {
  const loaded: number[] = [];
  const report = await substitute(cache(), { onProgress: (progress) => loaded.push(progress.loaded) });
  const paths = await stored();
  expect(paths).toContain(ROOT.storePath);
  for (const reference of ROOT.references) expect(paths).toContain(`/nix/store/${reference}`);
  expect(report).toMatchObject({ paths: paths.length, reused: 0 });
  expect(loaded.at(-1)).toBe(report.bytes);
  expect(loaded).toEqual([...loaded].sort((a, b) => a - b));
  for (const [i, info] of INFOS.entries()) {
    const found = await store.pathInfos.get(parseHashPart(info.storePath));
    if (found) expect(await collect(renderNar(store, found.node))).toEqual(sampleNar(SAMPLE[i] ?? ""));
  }
  expect(new Set(asked).size).toBe(asked.length);
  asked = [];
  expect(await substitute(cache())).toEqual({ paths: 0, bytes: 0, reused: paths.length, retried: 0, failed: 0 });
  expect(asked.some((path) => path.startsWith("nar/"))).toBe(false);
});

test("references are compared as a set: repetitions don't matter, different references are a conflict", async () => {
  await substitute(cache());
  const before = await store.pathInfos.get(parseHashPart(ROOT.storePath));
  const twice = changed({ References: [...ROOT.references, ...ROOT.references].join(" ") });
  expect(await substitute(cache(twice))).toMatchObject({ paths: 0, failed: 0 });
  const fewer = changed({ References: ROOT.references.slice(1).join(" "), Sig: `other-1:${"A".repeat(86)}==` });
  await expect(substitute(cache(fewer), { trust: "all" })).rejects.toMatchObject({ code: "conflict" });
  expect(await store.pathInfos.get(parseHashPart(ROOT.storePath))).toEqual(before);
});

test("without its closure, a path is imported alone", async () => {
  await substitute(cache(), { closure: false });
  expect(await stored()).toEqual([ROOT.storePath]);
});

test("a compressed NAR gives the same path", async () => {
  const gzipped = gzipSync(sampleNar(SAMPLE[INFOS.indexOf(ROOT)] ?? ""));
  const text = (SAMPLE[INFOS.indexOf(ROOT)] ?? "")
    .replace(/^(FileHash|FileSize): .*\n/gm, "")
    .replace("Compression: none", "Compression: gzip");
  const from = cache((path) =>
    path.endsWith(".nar") && path === ROOT.url ? gzipped : path.startsWith(parseHashPart(ROOT.storePath)) ? text : undefined,
  );
  await substitute(from, { closure: false });
  expect(await stored()).toEqual([ROOT.storePath]);
});

describe("a NARInfo in a Content-Encoding that the platform doesn't decode", () => {
  const name = `${parseHashPart(ROOT.storePath)}.narinfo`;
  const text = Buffer.from(SAMPLE[INFOS.indexOf(ROOT)] ?? "");

  test.each([
    ["gzip", () => gzipSync(text)],
    ["zstd", () => compressZstd(text)],
  ] as const)("%s", async (_, encode) => {
    const encoded = new Uint8Array(await encode());
    await substitute(
      cache((path) => (path === name ? encoded : undefined)),
      { closure: false },
    );
    expect(await stored()).toEqual([ROOT.storePath]);
  });

  test.each([
    ["a bomb", () => gzipSync(Buffer.alloc(50_000_000))],
    ["no text", () => gzipSync(Buffer.alloc(100, 0xff))],
    ["damage", () => gzipSync(text).subarray(0, 60)],
  ])("%s", async (_, encode) => {
    const from = cache((path) => (path === name ? new Uint8Array(encode()) : undefined));
    await expect(substitute(from)).rejects.toMatchObject({ name: "StoreError", code: "invalid" });
  });
});

describe("refused before any NAR is read", () => {
  test.each<[string, Partial<SubstituteOptions>, Answer | undefined, string]>([
    ["a path that no trusted key signed", { trust: { keys: [] } }, undefined, "denied"],
    ["one whose references were changed", {}, changed({ References: "" }), "denied"],
    ["one whose size was changed", {}, changed({ NarSize: "100" }), "denied"],
    ["the NARInfo of another path", {}, changed({ StorePath: `/nix/store/${"0".repeat(32)}-other` }), "corrupt"],
    ["a URL of another host", {}, changed({ URL: "https://elsewhere.test/x.nar" }), "invalid"],
    ["a URL of another host without a scheme", {}, changed({ URL: "//elsewhere.test/x.nar" }), "invalid"],
    ["an absolute URL", {}, changed({ URL: "/some/where/x.nar" }), "invalid"],
    ["a URL with ..", {}, changed({ URL: "nar/../../x.nar" }), "invalid"],
    ["a URL with an escaped ..", {}, changed({ URL: "nar/%2e%2e/%2e%2e/%2e%2e/x.nar" }), "invalid"],
    ["a URL with a backslash", {}, changed({ URL: "\\\\elsewhere.test\\x.nar" }), "invalid"],
    ["a NARInfo without an end", {}, (path) => (path.endsWith(".narinfo") ? "x: y\n".repeat(300_000) : undefined), "invalid"],
    ["a path that is not there", {}, (path) => (path.endsWith(".narinfo") ? 404 : undefined), "not-found"],
    ["a cache that fails", {}, (path) => (path.endsWith(".narinfo") ? 500 : undefined), "unavailable"],
  ])("%s", async (_, options, answer, code) => {
    await expect(substitute(cache(answer), options)).rejects.toMatchObject({ name: "StoreError", code });
    expect(asked.some((path) => path.startsWith("nar/"))).toBe(false);
    expect(await stored()).toEqual([]);
  });

  test("a signature of a different key with the same name", async () => {
    const other = { name: KEY.name, bytes: publicKeyOf(await generateSecretKey("x")).bytes };
    await expect(substitute(cache(), { trust: { keys: [other] } })).rejects.toMatchObject({ code: "denied" });
  });
});

describe("refused while a NAR is read, and invisible afterwards", () => {
  const nar = sampleNar(SAMPLE[INFOS.indexOf(ROOT)] ?? "");
  const endless = (): ReadableStream<Uint8Array> =>
    new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(65_536)) });
  test.each<[string, () => Body | number, Record<string, string>, string]>([
    ["a NAR that is missing", () => 404, {}, "not-found"],
    ["half of it", () => nar.slice(0, nar.length >> 1), {}, "corrupt"],
    ["more than it", () => new Blob([nar, nar]), {}, "corrupt"],
    ["another byte", () => nar.map((byte, i) => (i === nar.length >> 1 ? byte ^ 1 : byte)), {}, "corrupt"],
    ["no end", endless, {}, "corrupt"],
    ["no end, and nothing said of the file", endless, { FileSize: String(2 ** 50) }, "invalid"],
    ["a bomb", () => gzipSync(Buffer.alloc(50_000_000)), { Compression: "gzip", FileSize: "48000" }, "corrupt"],
    ["compression that is not known", () => nar, { Compression: "lzop" }, "invalid"],
  ])("%s", async (_, body, changes, code) => {
    const info = changed(changes);
    const from = cache((path) => (path === ROOT.url ? body() : info(path)));
    // The signature does not cover compression and file hash.
    await expect(substitute(from)).rejects.toMatchObject({
      name: "StoreError",
      code: expect.stringMatching(`${code}|invalid|corrupt`),
    });
    expect(await stored()).not.toContain(ROOT.storePath);
  });
});

test("an abort rejects with its reason", async () => {
  const controller = new AbortController();
  const from = cache((path) => {
    if (path === ROOT.url) controller.abort(new Error("enough"));
    return undefined;
  });
  await expect(substitute(from, { signal: controller.signal })).rejects.toThrow("enough");
  expect(await stored()).not.toContain(ROOT.storePath);
});
