import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createMemoryStore } from "../../src/backends/memory.ts";
import { NixCachePathInfoService } from "../../src/backends/nix-cache.ts";
import { parsePublicKeys } from "../../src/nix/key.ts";
import { NodeHashEngine } from "../../src/node/node-hash-engine.ts";
import { BinaryCache } from "../../src/store/binary-cache.ts";
import { calculateNar } from "../../src/store/nar.ts";
import type { LocalStoreServices } from "../../src/store/services.ts";
import { type CacheServer, SAMPLE_KEY, sampleStore, startCache } from "../node/cache-server.ts";
import { resolvers } from "../setup/resolvers.ts";
import { SAMPLE } from "../store/fixtures.ts";

const engine = new NodeHashEngine();
/** A path with references that have references in turn. */
const DEMO = /StorePath: (.*-hello-tvix-demo-1.0)\n/.exec(SAMPLE.join(""))?.[1] as string;
const HASH_PART = DEMO.slice(11, 43);
const OTHER_KEY = SAMPLE_KEY.replace(/:(.)/, (_, digit: string) => `:${digit === "A" ? "B" : "A"}`);

let cache: CacheServer;
beforeEach(async () => {
  cache = await startCache(await sampleStore());
});
afterEach(() => cache.close());

describe("a binary cache as a path info service", () => {
  let content: LocalStoreServices;
  let fetches: number;
  beforeEach(() => {
    content = createMemoryStore();
    fetches = 0;
  });

  function open(fetch: (url: string, init?: RequestInit) => Promise<Response> = globalThis.fetch, keys = SAMPLE_KEY) {
    const opened = new BinaryCache(cache.address, {
      retry: { delay: 1 },
      fetch: (url, init) => {
        fetches++;
        return fetch(String(url), init);
      },
    });
    return new NixCachePathInfoService(opened, content, { engine, trust: { keys: parsePublicKeys(keys) } });
  }

  test("imports a path when it is requested, alone, and once", async () => {
    const pathInfos = open();
    const [info, same] = await Promise.all([pathInfos.get(HASH_PART), pathInfos.get(HASH_PART)]);
    expect(info).toMatchObject({ storePath: DEMO, signatures: [expect.stringMatching(/^tvix-store-web-sample-1:/)] });
    expect(same).toBe(info);
    if (!info) throw new Error("it is missing");
    expect(await calculateNar(content, engine, info.node)).toEqual({ narSize: info.narSize, narHash: info.narHash });
    // nix-cache-info, the NARInfo and the NAR.
    expect(fetches).toBe(3);
    expect(await pathInfos.get(HASH_PART)).toBe(info);
    expect(fetches).toBe(3);
  });

  test("an aborted caller leaves the import to the others; the last abort ends it", async () => {
    const { promise: held, resolve: go } = resolvers();
    const signals: (AbortSignal | null | undefined)[] = [];
    const pathInfos = open(async (url, init) => {
      if (!url.endsWith(".narinfo")) return fetch(url, init);
      signals.push(init?.signal);
      await held;
      return fetch(url, init);
    });
    const [first, second] = [new AbortController(), new AbortController()];
    const impatient = pathInfos.get(HASH_PART, { signal: first.signal });
    const patient = pathInfos.get(HASH_PART, { signal: second.signal });
    await expect.poll(() => signals.length).toBe(1);
    first.abort(new Error("enough"));
    await expect(impatient).rejects.toThrow("enough");
    expect(signals[0]?.aborted).toBe(false);
    second.abort(new Error("enough of it"));
    await expect(patient).rejects.toThrow("enough of it");
    expect(signals[0]?.aborted).toBe(true);
    // A later caller does not join the aborted import.
    const again = pathInfos.get(HASH_PART);
    await expect.poll(() => signals.length).toBe(2);
    go();
    expect(await again).toMatchObject({ storePath: DEMO });
  });

  test("a failed import is tried again by the next caller", async () => {
    let fails = true;
    const pathInfos = open(async (url, init) =>
      fails && url.includes("/nar/") ? new Response("", { status: 500 }) : fetch(url, init),
    );
    await expect(pathInfos.get(HASH_PART)).rejects.toMatchObject({ code: "unavailable" });
    fails = false;
    expect(await pathInfos.get(HASH_PART)).toMatchObject({ storePath: DEMO });
  });

  test("a path without a trusted signature is denied, and its NAR is not read", async () => {
    await expect(open(fetch, OTHER_KEY).get(HASH_PART)).rejects.toMatchObject({ name: "StoreError", code: "denied" });
    expect(cache.asked.some((path) => path.startsWith("/nar/"))).toBe(false);
  });

  test("the last abort rejects after the import has ended", async () => {
    let reading = 0;
    const pathInfos = open(async (url, init) => {
      if (!url.includes("/nar/")) return fetch(url, init);
      reading++;
      // This body never ends.
      const body = new ReadableStream<Uint8Array>({
        pull: () => new Promise(() => {}),
        cancel: () => void reading--,
      });
      return new Response(body);
    });
    const controller = new AbortController();
    const impatient = pathInfos.get(HASH_PART, { signal: controller.signal });
    await expect.poll(() => reading).toBe(1);
    controller.abort(new Error("enough"));
    await expect(impatient).rejects.toThrow("enough");
    expect(reading).toBe(0);
  });

  test("a temporary failure is retried within the call", async () => {
    const failures = new Map<string, number>();
    const pathInfos = open(async (url, init) => {
      const before = failures.get(url) ?? 0;
      failures.set(url, before + 1);
      return before < 3 ? new Response("", { status: 502 }) : fetch(url, init);
    });
    expect(await pathInfos.get(HASH_PART)).toMatchObject({ storePath: DEMO });
    expect([...failures.values()]).toEqual([4, 4, 4]);
  });

  test.each<[string, (url: string) => Response | undefined, string]>([
    ["no cache at all", () => new Response("", { status: 404 }), "unavailable"],
    ["one for another store", (url) => (url.endsWith("-info") ? new Response("StoreDir: /gnu/store\n") : undefined), "invalid"],
    ["one that has another NAR", (url) => (url.includes("/nar/") ? new Response("other") : undefined), "corrupt"],
  ])("%s is an error", async (_, answer, code) => {
    const pathInfos = open(async (url, init) => answer(url) ?? fetch(url, init));
    await expect(pathInfos.get(HASH_PART)).rejects.toMatchObject({ name: "StoreError", code });
  });

  test("it is read-only, and has no list", async () => {
    const pathInfos = open();
    const info = await pathInfos.get(HASH_PART);
    if (!info) throw new Error("it is missing");
    await expect(pathInfos.put(info)).rejects.toMatchObject({ name: "StoreError", code: "denied" });
    const list = async () => {
      for await (const _ of pathInfos.list()) expect.unreachable();
    };
    await expect(list()).rejects.toMatchObject({ name: "StoreError", code: "denied" });
  });

  test("a path that the cache lacks is missing, and what is no hash part is refused", async () => {
    const pathInfos = open();
    expect(await pathInfos.get("0".repeat(32))).toBeUndefined();
    await expect(pathInfos.get("e".repeat(32))).rejects.toMatchObject({ name: "StoreError", code: "invalid" });
    await expect(pathInfos.get(HASH_PART, { signal: AbortSignal.abort("enough") })).rejects.toBe("enough");
  });
});
