import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { closureOf } from "../../src/store/closure.ts";
import type { LocalStoreServices } from "../../src/store/services.ts";
import type { Script } from "../setup/flaky-script.ts";
import { startFlakyServer } from "../setup/flaky-server.ts";
import { SAMPLE } from "../store/fixtures.ts";
import { type CacheServer, SAMPLE_KEY, sampleStore, startCache } from "./cache-server.ts";
import { runCli, startDaemon } from "./run-cli.ts";

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
