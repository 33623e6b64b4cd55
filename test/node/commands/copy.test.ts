import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { openEmbeddedStore } from "../../../src/node/embedded-store.ts";
import { closureOf } from "../../../src/store/closure.ts";
import { calculateNar } from "../../../src/store/nar.ts";
import type { LocalStoreServices } from "../../../src/store/services.ts";
import type { Script } from "../../setup/flaky-script.ts";
import { startFlakyServer } from "../../setup/flaky-server.ts";
import { serviceFlags } from "../../setup/service-flags.ts";
import { engine, SAMPLE } from "../../store/fixtures.ts";
import { type CacheServer, SAMPLE_KEY, sampleStore, startCache } from "../cache-server.ts";
import { openFilesIn, tellsOpenFiles } from "../open-files.ts";
import { expectFailure, output, runCli, startDaemon } from "../run-cli.ts";

const SAMPLE_DIR = join(import.meta.dirname, "../../fixtures/sample");
/** A path with references that have references in turn. */
const DEMO = /StorePath: (.*-hello-tvix-demo-1.0)\n/.exec(SAMPLE.join(""))?.[1] as string;
const HASH_PART = DEMO.slice(11, 43);
const OTHER_KEY = SAMPLE_KEY.replace(/:(.)/, (_, digit: string) => `:${digit === "A" ? "B" : "A"}`);

let source: LocalStoreServices;
let cache: CacheServer;
let closure: string[];
beforeAll(async () => {
  source = await sampleStore();
  cache = await startCache(source);
  closure = (await closureOf(source.pathInfos, [DEMO])).map(({ storePath }) => storePath);
});
afterAll(() => cache.close());

let dir: string;
let address: string;
let services: string[];
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "tvix-copy-"));
  services = serviceFlags(`file:${join(dir, "store")}`);
  address = `nix+${cache.address}?trusted-public-keys=${encodeURIComponent(SAMPLE_KEY)}`;
});
afterEach(() => rm(dir, { recursive: true, force: true }));

/** Returns the paths in the store, sorted, after it has verified their content. */
async function stored(): Promise<string[]> {
  const store = await openEmbeddedStore(join(dir, "store"));
  const paths: string[] = [];
  for await (const { storePath, node, narSize, narHash } of store.pathInfos.list()) {
    expect(await calculateNar(store, engine, node)).toEqual({ narSize, narHash });
    paths.push(storePath);
  }
  await store.close();
  return paths.sort();
}

test.each(["a binary cache", "a daemon"])("copy --from %s prints the closure in order, and stores it", async (from) => {
  const other = from === "a daemon" ? `grpc+${cache.address}` : address;
  const first = await runCli(["copy", ...services, "--from", other, DEMO]);
  expect(first).toMatchObject({ status: 0, stderr: "" });
  expect(first.stdout.toString()).toBe(closure.map((path) => `${path}\n`).join(""));
  expect(await stored()).toEqual([...closure].sort());
  // The second time, all paths exist.
  expect((await runCli(["copy", ...services, "--from", other, DEMO])).stdout).toEqual(first.stdout);
});

test.each(["a binary cache", "a daemon"])("copy --no-closure --from %s leaves out the references", async (from) => {
  const other = from === "a daemon" ? `grpc+${cache.address}` : address;
  const { status, stdout } = await runCli(["copy", ...services, "--no-closure", "--from", other, HASH_PART]);
  expect([status, stdout.toString()]).toEqual([0, `${DEMO}\n`]);
  expect(await stored()).toEqual([DEMO]);
});

test.each([
  ["with another key", () => `?trusted-public-keys=${encodeURIComponent(OTHER_KEY)}`],
  ["without a key", () => ""],
  ["where there is no cache", () => "/nowhere"],
])("copy --from fails %s, and stores nothing", async (_, query) => {
  await expectFailure(1, ["copy", ...services, "--from", `nix+${cache.address}${query()}`, DEMO]);
  expect(await stored()).toEqual([]);
});

test("copy --from a binary cache continues after a failed path, and prints a line for each failure", async () => {
  const server = await startFlakyServer((path) => readFile(join(SAMPLE_DIR, path)).catch(() => undefined));
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
  const { status } = await runCli(["copy", ...services, "--from", `nix+${cache.address}?require-sigs=false`, DEMO]);
  expect(status).toBe(0);
});

test("a daemon with a cache behind it serves paths that it never stored", async () => {
  const file = `file:${join(dir, "store")}`;
  const daemon = await startDaemon(["-l", "127.0.0.1:0", ...serviceFlags(file, file, address)]);
  const remote = serviceFlags(`grpc+${daemon.address}`);
  const { status, stdout } = await runCli(["export", ...remote, DEMO]);
  expect([status, stdout.length]).toEqual([0, (await source.pathInfos.get(HASH_PART))?.narSize]);
  // This daemon has no place for a path, so an import fails.
  expect((await runCli(["import", ...remote, import.meta.filename])).status).toBe(1);
  const copied = await runCli(["copy", ...serviceFlags(`file:${join(dir, "other")}`), "--from", `grpc+${daemon.address}`, DEMO]);
  expect(copied.stdout.toString()).toBe(closure.map((path) => `${path}\n`).join(""));
  expect(await daemon.stop()).toBe(0);
});

test.each([
  [[]],
  [["a", "b"]],
  [["--no-closure", "graph.json"]],
  [["--from", "nix+https://cache.example.org"]],
  [["--from", "nix+https://cache.example.org", "--root", "/", "5d5i1pdv9aii7g0y14fbpbn0xkqvrnx3"]],
  [["--from", "cache.example.org", "5d5i1pdv9aii7g0y14fbpbn0xkqvrnx3"]],
])("%j is wrong usage", async (args) => {
  await expectFailure(2, ["copy", ...args]);
});

test.each([
  ["a missing graph", ["/nowhere/at-all"], ""],
  ["a graph that is none", ["-"], "no JSON"],
  ["what is no store path", ["--from", "memory:", "hello"], ""],
])("fails on %s", async (_, args, stdin) => {
  await expectFailure(1, ["copy", ...services, ...args], { stdin });
});

describe("releases its store", () => {
  test.each<[string, () => string[]]>([
    ["if the other store can't be opened", () => ["--from", "file:/dev/null", DEMO]],
    ["if the other store lacks the path", () => ["--from", `file:${join(dir, "other")}`, DEMO]],
    ["if the other store is the same", () => ["--from", `file:${join(dir, "store")}`, DEMO]],
    ["if there is no cache", () => ["--from", `nix+${cache.address}/nowhere`, DEMO]],
  ])("%s", async (_, args) => {
    await expectFailure(1, ["copy", ...services, ...args()]);
    if (tellsOpenFiles) expect(openFilesIn(dir)).toBe(0);
    await (await openEmbeddedStore(join(dir, "store"))).close();
  });
});

test("copies the paths of a JSON file from a directory", async () => {
  const root = join(dir, "root");
  const path = join(root, DEMO);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, "not the demo");
  const imported = (await output(["import", ...services, path])).toString().trim();
  const [facts] = JSON.parse((await output(["path-info", ...services, "--json", imported])).toString());
  const graph = join(dir, "graph.json");
  await writeFile(graph, JSON.stringify([{ ...facts, path: DEMO, ca: undefined }]));
  expect((await output(["copy", ...services, "--root", root, graph])).toString()).toBe(`${DEMO}\n`);
  expect((await output(["cat", ...services, DEMO])).toString()).toBe("not the demo");
  await writeFile(path, "changed");
  await expectFailure(1, ["copy", ...serviceFlags("memory:"), "--root", root, graph]);
});
