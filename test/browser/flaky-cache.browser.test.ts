import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { deleteStore, FailedPathsError, importStaticCache, openStore, type Store } from "../../src/index.ts";
import { askedOf, flakySampleUrl, SAMPLE_CACHE_URL } from "../conformance/sample-cache-url.ts";
import type { Script, Step } from "../setup/flaky-script.ts";

/**
 * Imports from a binary cache that fails in the ways in which real networks fail. Browsers differ
 * in what a page can learn about a failure.
 */

const DEMO_NAME = /hello-tvix-demo-1\.0$/;
const narInfos: string[] = await Promise.all(
  (await (await fetch(`${SAMPLE_CACHE_URL}index.json`)).json()).map(async (name: string) =>
    (await fetch(`${SAMPLE_CACHE_URL}${name}`)).text(),
  ),
);
const field = (text: string, tag: string): string => new RegExp(`^${tag}: (.*)$`, "m").exec(text)?.[1] ?? "";
const DEMO = narInfos.find((text) => DEMO_NAME.test(field(text, "StorePath"))) ?? "";
const ROOT = field(DEMO, "StorePath");
/** A path that refers to one other path. Imports of it need few requests, and so few waits. */
const SMALL_ROOT = field(narInfos.find((text) => field(text, "StorePath").endsWith("-doc")) ?? "", "StorePath");
/** Base name of a path that the root refers to. */
const [REFERENCE = ""] = field(DEMO, "References").split(" ");
const REFERENCE_URL = field(narInfos.find((text) => field(text, "StorePath").endsWith(REFERENCE)) ?? "", "URL");

let name: string;
let store: Store;
beforeEach(async () => {
  name = crypto.randomUUID();
  store = await openStore(name, { workers: 1 });
});
afterEach(async () => {
  await store.close();
  await deleteStore(name);
});

const options = { requireSignatures: false };
const paths = async (): Promise<string[]> => {
  const found: string[] = [];
  for await (const { storePath } of store.pathInfos()) found.push(storePath);
  return found;
};
const failureOf = (promise: Promise<unknown>): Promise<unknown> => promise.then(() => undefined).catch((error: unknown) => error);

test("a connection reset is retried; Firefox retries before it reports the error", async () => {
  const report = await store.importBinaryCache(flakySampleUrl({ steps: { "": ["reset"] } }), [SMALL_ROOT], options);
  expect(report).toMatchObject({ reused: 0, failed: 0 });
  expect(await paths()).toHaveLength(report.paths);
});

test.each<[string, Script]>([
  ["statuses that pass", { steps: { "cache-info": [429], ".narinfo": [503], "nar/": [500, 502] } }],
  ["NARs that break off", { steps: { "nar/": [{ cut: 150 }] } }],
  ["NARs that break off, where a page may ask for parts", { steps: { "nar/": [{ cut: 150 }] }, cors: "all", etag: '"1"' }],
  ["NARs that break off, where there are no parts", { steps: { "nar/": [{ cut: 150 }] }, ranges: "ignored" }],
  ["NARs that end early", { steps: { "nar/": [{ short: 150 }] } }],
])("%s: is retried", async (_, script) => {
  const cache = flakySampleUrl(script);
  const report = await store.importBinaryCache(cache, [SMALL_ROOT], options);
  expect(report).toMatchObject({ paths: 2, reused: 0, failed: 0 });
  expect(report.retried).toBeGreaterThanOrEqual(2);
  expect(await paths()).toHaveLength(report.paths);
  expect((await store.verify()).corrupt).toEqual([]);
});

test("a cache that doesn't answer, or stops in the middle of an answer, times out and is retried", async () => {
  const cache = flakySampleUrl({ steps: { narinfo: ["silent"], "nar/": [{ stall: 100 }] } });
  const timeouts = { connect: 1000, stall: 500 };
  const report = await store.importBinaryCache(cache, [SMALL_ROOT], { ...options, timeouts });
  expect(report.retried).toBeGreaterThan(2);
  expect(await paths()).toHaveLength(report.paths);
  const never = flakySampleUrl({ steps: { "": Array<Step>(9).fill("silent") } });
  const error = await failureOf(store.importBinaryCache(never, [SMALL_ROOT], { ...options, timeouts: { connect: 50 } }));
  expect(error).toMatchObject({ name: "StoreError", code: "unavailable" });
  expect(String(error)).toContain(never);
  await expect(store.importBinaryCache(cache, [SMALL_ROOT], { timeouts: { stall: 0 } })).rejects.toMatchObject({ code: "invalid" });
});

test("Retry-After is respected if the page may read it", async () => {
  const cache = flakySampleUrl({ steps: { "cache-info": [{ status: 429, retryAfter: "2" }] }, cors: "all" });
  const started = performance.now();
  await store.importBinaryCache(cache, [SMALL_ROOT], options);
  // Without the header, the import would wait for one second at most.
  expect(performance.now() - started).toBeGreaterThan(2000);
});

test("a failed path leaves out only the paths that refer to it, and the page learns of each", async () => {
  const cache = flakySampleUrl({ steps: { [REFERENCE_URL]: [404] } });
  const error = await failureOf(store.importBinaryCache(cache, [ROOT], options));
  if (!(error instanceof FailedPathsError)) throw error;
  expect(error).toMatchObject({ name: "StoreError", code: "not-found" });
  const there = await paths();
  expect(error.report).toMatchObject({ paths: there.length, failed: error.failures.length });
  expect(error.failures[0]).toMatchObject({ storePath: expect.stringContaining(REFERENCE), error: { code: "not-found" } });
  expect(error.failures.at(-1)).toMatchObject({ storePath: ROOT, because: error.failures[0]?.storePath });
  for (const { storePath } of error.failures) expect(there).not.toContain(storePath);
  // The next import does not request the imported paths again.
  const again = flakySampleUrl({});
  expect(await store.importBinaryCache(again, [ROOT], options)).toMatchObject({ reused: there.length, failed: 0 });
  expect((await askedOf(again)).filter(({ path }) => path.startsWith("nar/"))).toHaveLength(error.failures.length);
});

// Without the abort, each wait would be longer than the test may take.
describe("an abort ends the import at once", { timeout: 30_000 }, () => {
  const timeouts = { connect: 600_000, stall: 600_000 };
  test.each<[string, Script]>([
    ["while it waits for the next try", { steps: { "nar/": [{ status: 503, retryAfter: "50" }] }, cors: "all" }],
    ["while it waits for an answer", { steps: { "nar/": ["silent"] } }],
    ["while it waits for the rest", { steps: { "nar/": [{ stall: 100 }] } }],
  ])("%s", async (_, script) => {
    const cache = flakySampleUrl(script);
    const controller = new AbortController();
    const reason = new Error("enough");
    const running = failureOf(store.importBinaryCache(cache, [ROOT], { ...options, timeouts, signal: controller.signal }));
    await expect
      .poll(async () => (await askedOf(cache)).some(({ path }) => path.startsWith("nar/")), { timeout: 10_000 })
      .toBe(true);
    controller.abort(reason);
    expect(await running).toBe(reason);
  });
});

describe("a cache of static files", () => {
  test("is retried too", async () => {
    // Each failure delays the import, so only one file of each kind fails.
    const narInfo = `${REFERENCE.slice(0, 32)}.narinfo`;
    const cache = flakySampleUrl({ steps: { "index.json": ["reset"], [narInfo]: ["reset"], [REFERENCE_URL]: [{ cut: 150 }] } });
    const imported = await importStaticCache(store, cache);
    expect(imported).toHaveLength(narInfos.length);
    expect(await paths()).toHaveLength(narInfos.length);
  });

  test.each<[string, Script, string]>([
    ["without an index", { steps: { "index.json": [404] } }, "not-found"],
    ["with an index that is none", { steps: { "index.json": [{ other: 50 }] } }, "invalid"],
    ["with an index without an end", { steps: { "index.json": [{ other: 5_000_000 }] } }, "invalid"],
    ["without a NARInfo", { steps: { narinfo: [404] } }, "not-found"],
    ["without a NAR", { steps: { "nar/": [404] } }, "not-found"],
    ["that forbids it", { steps: { narinfo: [401] } }, "denied"],
  ])("%s", async (_, script, code) => {
    const error = await failureOf(importStaticCache(store, flakySampleUrl(script)));
    expect(error).toMatchObject({ name: "StoreError", code });
    expect(await paths()).toEqual([]);
  });

  test("rejects with the reason of an abort", async () => {
    const cache = flakySampleUrl({ steps: { "nar/": [{ stall: 100 }] } });
    const reason = new Error("enough");
    const controller = new AbortController();
    const running = failureOf(importStaticCache(store, cache, { signal: controller.signal }));
    await expect
      .poll(async () => (await askedOf(cache)).some(({ path }) => path.startsWith("nar/")), { timeout: 10_000 })
      .toBe(true);
    controller.abort(reason);
    expect(await running).toBe(reason);
  });
});
