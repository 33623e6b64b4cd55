import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createMemoryStore } from "../../src/backends/memory.ts";
import { NixCachePathInfoService } from "../../src/backends/nix-cache.ts";
import { parsePublicKeys } from "../../src/nix/key.ts";
import { NodeHashEngine } from "../../src/node/node-hash-engine.ts";
import { BinaryCache } from "../../src/store/binary-cache.ts";
import { closureOf } from "../../src/store/closure.ts";
import { calculateNar } from "../../src/store/nar.ts";
import type { LocalStoreServices } from "../../src/store/services.ts";
import type { Script } from "../setup/flaky-script.ts";
import { startFlakyServer } from "../setup/flaky-server.ts";
import { SAMPLE } from "../store/fixtures.ts";
import { type CacheServer, SAMPLE_KEY, sampleStore, startCache } from "./cache-server.ts";
import { runCli, startDaemon } from "./run-cli.ts";

const engine = new NodeHashEngine();
const SAMPLE_DIR = join(import.meta.dirname, "../fixtures/sample");
/** A path with references that have references in turn. */
const DEMO = /StorePath: (.*-hello-tvix-demo-1.0)\n/.exec(SAMPLE.join(""))?.[1] as string;
const HASH_PART = DEMO.slice(11, 43);
const OTHER_KEY = SAMPLE_KEY.replace(/:(.)/, (_, digit: string) => `:${digit === "A" ? "B" : "A"}`);

let source: LocalStoreServices;
let cache: CacheServer;
let closure: string[];
beforeEach(async () => {
  source = await sampleStore();
  cache = await startCache(source);
  closure = (await closureOf(source.pathInfos, [DEMO])).map(({ storePath }) => storePath);
});
afterEach(() => cache.close());

describe("as a path info service", () => {
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
    go(undefined);
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
});

describe("on the command line", () => {
  let dir: string;
  let address: string;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), "tvix-nix-cache-"));
    address = `nix+${cache.address}?trusted-public-keys=${encodeURIComponent(SAMPLE_KEY)}`;
  });
  afterEach(() => rm(dir, { recursive: true, force: true }));

  const at = (blobs: string, pathInfos = blobs): string[] => [
    ...["--blob-service-addr", blobs, "--directory-service-addr", blobs],
    ...["--path-info-service-addr", pathInfos],
  ];

  test.each(["a binary cache", "a daemon"])("copy --from %s prints the closure in order, and stores it", async (from) => {
    const services = at(`file:${join(dir, "store")}`);
    const other = from === "a daemon" ? `grpc+${cache.address}` : address;
    const first = await runCli(["copy", ...services, "--from", other, DEMO]);
    expect(first).toMatchObject({ status: 0, stderr: "" });
    expect(first.stdout.toString()).toBe(closure.map((path) => `${path}\n`).join(""));
    for (const path of closure) {
      const { status, stdout } = await runCli(["export", ...services, path]);
      expect([status, stdout.length]).toEqual([0, (await source.pathInfos.get(path.slice(11, 43)))?.narSize]);
    }
    // The second time, all paths exist.
    expect((await runCli(["copy", ...services, "--from", other, DEMO])).stdout).toEqual(first.stdout);
  });

  test.each(["a binary cache", "a daemon"])("copy --no-closure --from %s leaves out the references", async (from) => {
    const services = at(`file:${join(dir, "store")}`);
    const other = from === "a daemon" ? `grpc+${cache.address}` : address;
    const { status, stdout } = await runCli(["copy", ...services, "--no-closure", "--from", other, HASH_PART]);
    expect([status, stdout.toString()]).toEqual([0, `${DEMO}\n`]);
    expect((await runCli(["export", ...services, closure[0] as string])).status).toBe(1);
  });

  test.each([
    ["with another key", () => `?trusted-public-keys=${encodeURIComponent(OTHER_KEY)}`],
    ["without a key", () => ""],
    ["where there is no cache", () => "/nowhere"],
  ])("copy --from fails %s, and stores nothing", async (_, query) => {
    const services = at(`file:${join(dir, "store")}`);
    const { status, stdout, stderr } = await runCli(["copy", ...services, "--from", `nix+${cache.address}${query()}`, DEMO]);
    expect(status).toBe(1);
    expect(stdout).toHaveLength(0);
    expect(stderr).toMatch(/^tvix-store-web: [^\n]+\n$/);
    for (const path of closure) expect((await runCli(["export", ...services, path])).status).toBe(1);
  });

  test("copy --from a binary cache continues after a failed path, and prints a line for each failure", async () => {
    const server = await startFlakyServer((path) => readFile(join(SAMPLE_DIR, path)).catch(() => undefined));
    const services = at(`file:${join(dir, "store")}`);
    const copy = (script: Script) => {
      const from = `nix+${server.cache(script)}?trusted-public-keys=${encodeURIComponent(SAMPLE_KEY)}`;
      return runCli(["copy", ...services, "--from", from, DEMO]);
    };
    try {
      // This path lies in the middle of the closure.
      const bad = SAMPLE.find((text) => text.includes(`StorePath: ${closure.at(-2)}\n`)) ?? "";
      const failing = await copy({ steps: { [/^URL: (.*)$/m.exec(bad)?.[1] ?? ""]: [404] } });
      expect(failing.status).toBe(1);
      const came = failing.stdout.toString().trimEnd().split("\n");
      const lines = failing.stderr.trimEnd().split("\n");
      const missing = closure.filter((path) => !came.includes(path));
      expect(came).toEqual(closure.filter((path) => !missing.includes(path)));
      expect(missing).toEqual(closure.slice(-2));
      expect(lines).toHaveLength(missing.length);
      for (const [i, path] of missing.entries()) expect(lines[i]).toMatch(new RegExp(`^tvix-store-web: .*${path}`));
      const again = await copy({ steps: { "": ["reset"] } });
      expect(again).toMatchObject({ status: 0, stderr: "" });
      expect(again.stdout.toString()).toBe(closure.map((path) => `${path}\n`).join(""));
    } finally {
      server.close();
    }
  });

  test("copy --from accepts unsigned paths if no signatures are required", async () => {
    const services = at(`file:${join(dir, "store")}`);
    const { status } = await runCli(["copy", ...services, "--from", `nix+${cache.address}?require-sigs=false`, DEMO]);
    expect(status).toBe(0);
  });

  test("a daemon with a cache behind it serves paths that it never stored", async () => {
    const daemon = await startDaemon(["-l", "127.0.0.1:0", ...at(`file:${join(dir, "store")}`, address)]);
    const remote = at(`grpc+${daemon.address}`);
    const { status, stdout } = await runCli(["export", ...remote, DEMO]);
    expect([status, stdout.length]).toEqual([0, (await source.pathInfos.get(HASH_PART))?.narSize]);
    // This daemon has no place for a path, so an import fails.
    expect((await runCli(["import", ...remote, import.meta.filename])).status).toBe(1);
    const copied = await runCli(["copy", ...at(`file:${join(dir, "other")}`), "--from", `grpc+${daemon.address}`, DEMO]);
    expect(copied.stdout.toString()).toBe(closure.map((path) => `${path}\n`).join(""));
    expect(await daemon.stop()).toBe(0);
  });
});

/** Replaces Promise.withResolvers, which Node 20 lacks. */
function resolvers(): { promise: Promise<unknown>; resolve: (value: unknown) => void } {
  let resolve: (value: unknown) => void = () => {};
  const promise = new Promise<unknown>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
