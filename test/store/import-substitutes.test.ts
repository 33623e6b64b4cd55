import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { connectCacheCastore } from "../../src/backends/cache-castore.ts";
import { createMemoryStore } from "../../src/backends/memory.ts";
import { utf8 } from "../../src/bytes.ts";
import type { BlobWriter } from "../../src/castore/blob-service.ts";
import { StoreError } from "../../src/error.ts";
import { hashBytes } from "../../src/nix/hash-bytes.ts";
import { formatNarInfo, type NarInfo } from "../../src/nix/narinfo.ts";
import { formatStorePath, parseHashPart } from "../../src/nix/store-path.ts";
import { BinaryCache, type BinaryCacheOptions } from "../../src/store/binary-cache.ts";
import { type FailedPath, FailedPathsError } from "../../src/store/failed-paths.ts";
import { renderNar } from "../../src/store/nar.ts";
import { narUrl } from "../../src/store/nar-info.ts";
import type { LocalStoreServices, StoreServices } from "../../src/store/services.ts";
import { type SubstituteOptions, substitutePaths } from "../../src/store/substitute.ts";
import { withMethods } from "../castore/with-methods.ts";
import { pseudoRandom } from "../conformance/content.ts";
import type { Script, Step } from "../setup/flaky-script.ts";
import { type FlakyServer, startFlakyServer } from "../setup/flaky-server.ts";
import { collect, engine, failure, importFiles } from "./fixtures.ts";

/** Files of the cache. NARInfo and NAR of a path are named after the path. */
const files = new Map<string, Uint8Array | (() => Uint8Array)>();
let server: FlakyServer;
beforeAll(async () => {
  server = await startFlakyServer((path) => {
    const found = files.get(path);
    return typeof found === "function" ? found() : found;
  });
});
afterAll(() => server.close());

let store: LocalStoreServices;
beforeEach(() => {
  files.clear();
  files.set("nix-cache-info", utf8("StoreDir: /nix/store\n"));
  store = createMemoryStore();
});

const storePath = (name: string): string => formatStorePath({ digest: pseudoRandom(20, hash(name)), name });
const hash = (name: string): number => [...name].reduce((sum, letter) => sum * 31 + letter.charCodeAt(0), 7) % 1_000_003;
const hashPart = (name: string): string => parseHashPart(storePath(name));

/** Puts a path into the cache. */
async function put(
  name: string,
  references: readonly string[] = [],
  change: Partial<NarInfo> = {},
  size = 20_000,
): Promise<NarInfo> {
  const source = createMemoryStore();
  const { node } = await importFiles(source, name, { a: pseudoRandom(size, hash(name) + 1) });
  const nar = await collect(renderNar(source, node));
  const info: NarInfo = {
    storePath: storePath(name),
    url: `nar/${name}.nar`,
    compression: "none",
    fileHash: { algorithm: "sha256", digest: await hashBytes("sha256", nar) },
    fileSize: nar.length,
    narHash: { algorithm: "sha256", digest: await hashBytes("sha256", nar) },
    narSize: nar.length,
    references: references.map((reference) => storePath(reference).slice("/nix/store/".length)),
    signatures: [],
    ...change,
  };
  files.set(`${hashPart(name)}.narinfo`, utf8(formatNarInfo(info)));
  files.set(`nar/${name}.nar`, nar);
  return info;
}

const RETRY = { delay: 2, busyDelay: 2, maxDelay: 50 };

let cache: string;
function substitute(
  names: readonly string[],
  script: Script = {},
  options: Partial<SubstituteOptions> & BinaryCacheOptions = {},
  to: StoreServices = store,
) {
  cache = server.cache(script);
  const { fetch, timeouts, retry = RETRY, ...others } = options;
  const opened = new BinaryCache(cache, { fetch, timeouts, retry });
  return substitutePaths(to, opened, names.map(storePath), { engine, trust: "all", ...others });
}

async function failed(promise: Promise<unknown>): Promise<FailedPathsError> {
  const error = await failure(promise);
  if (error instanceof FailedPathsError) return error;
  throw error;
}

/** Names of all paths in the store. */
async function stored(): Promise<string[]> {
  const names: string[] = [];
  for await (const info of store.pathInfos.list()) names.push(info.storePath.slice(44));
  return names.sort();
}
const namesOf = (failures: readonly FailedPath[]): string[] => failures.map((failure) => failure.storePath.slice(44));
const askedFor = (part: string): number => server.asked(cache).filter(({ path }) => path.includes(part)).length;

test("temporary failures are retried and counted", async () => {
  await put("a");
  await put("b", ["a"]);
  await put("c", ["b"]);
  const report = await substitute(["c"], {
    steps: { narinfo: ["reset"], "nar/a": [503, { cut: 100 }], "nar/b": [{ short: 5000 }] },
  });
  expect(report).toMatchObject({ paths: 3, reused: 0, retried: 6, failed: 0 });
  expect(await stored()).toEqual(["a", "b", "c"]);
});

describe("a path that fails", () => {
  /** Puts `top`, which refers to `bad` and `good`, and `other`, which refers to `good`. */
  async function putGraph(change: Partial<NarInfo> = {}): Promise<void> {
    await put("leaf");
    await put("bad", ["leaf"], change);
    await put("good", ["leaf"]);
    await put("middle", ["bad", "good"]);
    await put("top", ["middle", "leaf"]);
    await put("other", ["good"]);
  }

  test.each<[string, Partial<NarInfo>, Script, string]>([
    ["a NAR that is missing", {}, { steps: { "nar/bad": [404] } }, "not-found"],
    ["a NAR that never comes", {}, { steps: { "nar/bad": Array<Step>(9).fill(502) } }, "unavailable"],
    ["a NAR that breaks off each time", {}, { steps: { "nar/bad": Array<Step>(9).fill({ cut: 90 }) } }, "unavailable"],
    ["a NAR that needs a password", {}, { steps: { "nar/bad": [401] } }, "denied"],
    ["no NAR", {}, { steps: { "nar/bad": [{ other: 1000 }] } }, "invalid"],
    ["another hash", { narHash: { algorithm: "sha256", digest: new Uint8Array(32) } }, {}, "corrupt"],
    ["compression that is unknown", { compression: "no-such" }, {}, "invalid"],
  ])("stops only the paths that refer to it: %s", async (_, change, script, code) => {
    await putGraph(change);
    const told: string[] = [];
    const error = await failed(substitute(["top", "other"], script, { onPath: (path) => void told.push(path.slice(44)) }));
    expect(error).toMatchObject({ name: "StoreError", code });
    expect(namesOf(error.failures)).toEqual(["bad", "middle", "top"]);
    expect(error.failures.map(({ because }) => because?.slice(44))).toEqual([undefined, "bad", "bad"]);
    expect(error.failures.map((failure) => failure.error.code)).toEqual([code, code, code]);
    expect(error.report).toMatchObject({ paths: 3, reused: 0, failed: 3 });
    expect(error.message).toContain(storePath("bad"));
    expect(error.message).toContain("3 of 6");
    expect(await stored()).toEqual(["good", "leaf", "other"]);
    expect(told).toEqual(["leaf", "good", "other"]);
    // The store knows nothing about the path, so the next attempt fetches the rest.
    if (code === "unavailable" || code === "not-found") {
      expect(await substitute(["top", "other"])).toMatchObject({ paths: 3, reused: 3, failed: 0 });
      expect(await stored()).toEqual(["bad", "good", "leaf", "middle", "other", "top"]);
    }
  });

  test.each<[string, Step[], string]>([
    ["is missing", [404], "not-found"],
    ["never comes", Array<Step>(9).fill("reset"), "unavailable"],
    ["makes no sense", [{ other: 100 }], "invalid"],
  ])("stops only the paths that refer to it: its NARInfo %s", async (_, steps, code) => {
    await putGraph();
    const error = await failed(substitute(["top", "other"], { steps: { [hashPart("bad")]: steps } }));
    expect(error).toMatchObject({ name: "StoreError", code });
    expect(namesOf(error.failures)).toEqual(["bad", "middle", "top"]);
    expect(await stored()).toEqual(["good", "leaf", "other"]);
    expect(askedFor("nar/middle")).toBe(0);
  });

  test("is no failure if the store has it", async () => {
    await putGraph();
    await substitute(["bad"]);
    const steps = { [hashPart("bad")]: [404] };
    expect(await substitute(["top"], { steps })).toMatchObject({ paths: 3, reused: 2, failed: 0 });
  });

  test("leaves out no others if closures are not imported", async () => {
    await putGraph();
    const error = await failed(substitute(["leaf", "bad", "good"], { steps: { "nar/bad": [404] } }, { closure: false }));
    expect(error).toMatchObject({ code: "not-found", report: { paths: 2, failed: 1 } });
    expect(namesOf(error.failures)).toEqual(["bad"]);
    expect(await stored()).toEqual(["good", "leaf"]);
    const missing = await failed(substitute(["leaf", "nowhere"], {}, { closure: false }));
    expect(missing).toMatchObject({ code: "not-found", report: { paths: 0, reused: 1, failed: 1 } });
    expect(missing.failures[0]?.storePath).toBe(storePath("nowhere"));
  });

  test("ends the downloads of the paths that refer to it", async () => {
    await put("bad");
    await put("top", ["bad"]);
    const error = await failed(
      substitute(["top"], { steps: { "nar/bad": ["reset", 404], "nar/top": [{ stall: 100 }] } }, { timeouts: { stall: 50_000 } }),
    );
    expect(namesOf(error.failures)).toEqual(["bad", "top"]);
    expect(askedFor("nar/top")).toBe(1);
  });

  test("has a message of bounded length", async () => {
    const names = Array.from({ length: 20 }, (_, i) => `path-${i}`);
    for (const name of names) await put(name, [], {}, 10);
    const error = await failed(substitute(names, { steps: { "nar/": [404] } }));
    expect(error.failures).toHaveLength(20);
    expect(error.message.length).toBeLessThan(1500);
  });
});

describe("an unreachable cache", () => {
  test.each<[string, Script]>([
    ["while NARs are read", { steps: { "nar/": Array<Step>(9).fill("reset") } }],
    ["while NARInfos are read", { steps: { ".narinfo": Array<Step>(9).fill(503) } }],
  ])("is not asked for all paths: %s", async (_, script) => {
    const names = Array.from({ length: 60 }, (_, i) => `path-${i}`);
    for (const name of names) await put(name, [], {}, 10);
    const error = await failure(substitute(names, script));
    expect(error).toMatchObject({ name: "StoreError", code: "unavailable" });
    if (error instanceof FailedPathsError) expect(error.failures).toHaveLength(60);
    const failing = server.asked(cache).filter(({ path }) => path.includes(Object.keys(script.steps ?? {})[0] ?? ""));
    expect(failing.length).toBeLessThan(5 * 32);
    expect(await stored()).toEqual([]);
  });

  test("is assumed only after many paths in a row fail", async () => {
    const names = Array.from({ length: 60 }, (_, i) => `${i % 3 === 0 ? "good" : "bad"}-${i}`);
    for (const name of names) await put(name, [], {}, 10);
    const error = await failed(substitute(names, { steps: { "nar/bad": Array<Step>(9).fill(503) } }));
    expect(error.failures).toHaveLength(40);
    expect(await stored()).toHaveLength(20);
  });
});

describe("an import settles after everything that it started has ended", () => {
  /** A store that counts running operations, and whose writers take a while to abort. */
  function watched(fails: () => StoreError | undefined = () => undefined) {
    const open = new Set<object>();
    let calls = 0;
    const to: StoreServices = {
      ...store,
      blobs: withMethods(store.blobs, {
        async create(options) {
          const writer = await store.blobs.create(options);
          open.add(writer);
          const watching: BlobWriter = {
            async write(bytes) {
              const error = fails();
              if (error) throw error;
              return writer.write(bytes);
            },
            async close() {
              const closed = await writer.close();
              open.delete(writer);
              return closed;
            },
            async abort(reason) {
              await new Promise((resolve) => setTimeout(resolve, 50));
              await writer.abort(reason);
              open.delete(writer);
            },
          };
          return watching;
        },
      }),
      pathInfos: {
        put: (info, options) => store.pathInfos.put(info, options),
        list: (options) => store.pathInfos.list(options),
        async get(part, options) {
          calls++;
          await new Promise((resolve) => setTimeout(resolve, 5));
          calls--;
          return store.pathInfos.get(part, options);
        },
      },
    };
    return { to, underWay: () => open.size + calls };
  }

  /** Bodies that were neither read to the end nor cancelled. */
  const bodies = new Set<object>();
  const fetch: typeof globalThis.fetch = async (url, init) => {
    const response = await globalThis.fetch(url, init);
    const { body } = response;
    if (!body || !String(url).includes("/nar/")) return response;
    bodies.add(body);
    const reader = body.getReader();
    const watched = new ReadableStream<Uint8Array>({
      async pull(controller) {
        const { done, value } = await reader.read();
        if (value) controller.enqueue(value);
        if (!done) return;
        bodies.delete(body);
        controller.close();
      },
      async cancel(reason) {
        bodies.delete(body);
        await reader.cancel(reason);
      },
    });
    return new Response(watched, response);
  };
  beforeEach(async () => {
    bodies.clear();
    for (const name of ["a", "b", "c"]) await put(name, [], {}, 2_000_000);
    await put("top", ["a", "b", "c"]);
  });

  test("after an abort", async () => {
    const { to, underWay } = watched();
    const controller = new AbortController();
    const reason = new Error("enough");
    let most = 0;
    const running = substitute(
      ["top"],
      { steps: { "nar/": [{ stall: 1_500_000 }] } },
      {
        fetch,
        signal: controller.signal,
        onProgress: ({ loaded }) => {
          most = Math.max(most, underWay());
          if (loaded > 4_000_000) setTimeout(() => controller.abort(reason), 50);
        },
      },
      to,
    );
    expect(await failure(running)).toBe(reason);
    expect(most).toBeGreaterThan(2);
    expect(underWay()).toBe(0);
    expect(bodies.size).toBe(0);
    expect(await stored()).toEqual([]);
  });

  test.each(["quota", "closed"] as const)("after the store failed with %s, which ends the rest", async (code) => {
    let writes = 0;
    const { to, underWay } = watched(() => (++writes > 20 ? new StoreError(code, "no more") : undefined));
    const error = await failure(substitute(["top"], { steps: { "nar/top": [{ stall: 10 }] } }, { fetch }, to));
    expect(bodies.size).toBe(0);
    expect(error).toMatchObject({ name: "StoreError", code });
    expect(error).not.toBeInstanceOf(FailedPathsError);
    expect(underWay()).toBe(0);
    expect(await stored()).toEqual([]);
  });

  test("after onPath failed", async () => {
    const { to, underWay } = watched();
    const reason = new Error("nobody reads it");
    const onPath = (): void => {
      throw reason;
    };
    expect(await failure(substitute(["a", "top"], {}, { onPath }, to))).toBe(reason);
    expect(underWay()).toBe(0);
  });

  test.each([true, false])("after a NARInfo ended the rest, with closure: %s", async (closure) => {
    let asking = 0;
    const slow: typeof globalThis.fetch = async (url, init) => {
      asking++;
      try {
        if (String(url).includes(hashPart("b"))) throw Object.assign(new StoreError("closed", "not here"));
        await new Promise((resolve) => setTimeout(resolve, 30));
        return await globalThis.fetch(url, init);
      } finally {
        asking--;
      }
    };
    const error = await failure(substitute(["a", "b", "c"], {}, { closure, fetch: slow }));
    expect(error).toMatchObject({ code: "closed" });
    expect(asking).toBe(0);
  });
});

test("a NAR that broke off and differs at the next request is read from the start once", async () => {
  await put("a", [], { compression: "gzip", fileHash: undefined, fileSize: undefined }, 3_000_000);
  const nar = files.get("nar/a.nar") as Uint8Array;
  let made = 0;
  files.set("nar/a.nar", () => gzipSync(nar, { level: made++ % 2 === 0 ? 1 : 9 }));
  const report = await substitute(["a"], { steps: { "nar/a": [{ cut: 1_000_000 }] } });
  expect(report).toMatchObject({ paths: 1, retried: 2 });
  const asked = server.asked(cache).filter(({ path }) => path === "nar/a.nar");
  expect(asked.map(({ range }) => range?.slice(0, 6))).toEqual([undefined, "bytes=", undefined]);
  expect(await stored()).toEqual(["a"]);
});

test("castore services that never answer don't block the NAR", async () => {
  const source = createMemoryStore();
  const { node, narSize } = await importFiles(source, "a", { a: pseudoRandom(20_000, hash("a") + 1) });
  const url = narUrl(node, narSize);
  await put("a", [], { url });
  files.set(url, files.get("nar/a.nar") ?? new Uint8Array());
  cache = server.cache({ steps: { "castore.v1": Array<Step>(9).fill("silent") } });
  const castore = connectCacheCastore(cache, engine, { timeouts: { connect: 100 } });
  const report = await substitutePaths(store, new BinaryCache(cache), [storePath("a")], { engine, trust: "all", castore });
  expect(report).toMatchObject({ paths: 1 });
  expect(askedFor("castore.v1")).toBeGreaterThan(0);
});
