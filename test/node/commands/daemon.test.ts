import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, Readable, Writable } from "node:stream";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { generateSecretKey } from "../../../src/nix/ed25519.ts";
import { formatPublicKey, formatSecretKey, publicKeyOf } from "../../../src/nix/key.ts";
import { parseNarInfo } from "../../../src/nix/narinfo.ts";
import type { CliContext } from "../../../src/node/cli-context.ts";
import { runDaemon } from "../../../src/node/commands/daemon.ts";
import { openEmbeddedStore } from "../../../src/node/embedded-store.ts";
import { serviceFlags } from "../../setup/service-flags.ts";
import { openFilesIn, tellsOpenFiles } from "../open-files.ts";
import { expectFailure, output, type RunningDaemon, runCli, startDaemon } from "../run-cli.ts";

const SAMPLE = join(import.meta.dirname, "../../fixtures/sample");
const HELLO = "m51r8pw89afxi119diyi9alqnn300a6m";
const IN_MEMORY = serviceFlags("memory:");
const ANY_PORT = ["-l", "127.0.0.1:0"];

let dir: string;
let data: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "tvix-daemon-"));
  data = join(dir, "data");
});
afterEach(() => rm(dir, { recursive: true, force: true }));

test.each([
  [["extra"]],
  [["-l", "8000"]],
  [["-l", "127.0.0.1:65536"]],
  [["--priority", "first"]],
  [["--priority", "1234567890"]],
  [["--priority", "-1"]],
  [["--store-dir", "nix/store"]],
  [["--store-dir", "/nix/store/"]],
  [["--store-dir", "/nix/the store"]],
  [["--nar-urls", "castore"]],
  [["--path-info-service-addr", "nix+s3://bucket"]],
  [["--blob-service-addr", "nix+https://cache.example.org"]],
  [["--directory-service-addr", "nix+https://cache.example.org"]],
])("%j is wrong usage", async (args) => {
  await expectFailure(2, ["daemon", ...ANY_PORT, "--data-dir", data, ...args]);
  expect(readdirSync(dir)).toEqual([]);
});

describe("an address of the daemon itself is refused as storage", () => {
  test.each([
    ["127.0.0.1:9104", "--path-info-service-addr", "nix+http://localhost:9104"],
    ["127.0.0.1:9104", "--blob-service-addr", "grpc+http://localhost:9104"],
    ["0.0.0.0:9104", "--directory-service-addr", "grpc+http://[::1]:9104"],
    ["store.lan:80", "--blob-service-addr", "grpc+http://store.lan"],
    ["unix:/tmp/self.sock", "--path-info-service-addr", "grpc+unix:/tmp/self.sock"],
    ["unix:/tmp/x/../self.sock", "--path-info-service-addr", "grpc+unix:/tmp/self.sock"],
  ])("%s %s %s", async (listen, flag, address) => {
    const reason = await expectFailure(2, ["daemon", "-l", listen, "--data-dir", data, flag, address]);
    expect(reason).toContain(address);
  });

  // The daemon gets further, and fails because it can't listen on this address.
  test.each([
    ["192.0.2.1:9104", "grpc+http://localhost:9104"],
    ["192.0.2.1:9104", "grpc+https://192.0.2.1:9104"],
    ["192.0.2.1:9104", "grpc+http://192.0.2.1:9105"],
    ["unix:/nowhere/self.sock", "grpc+http://localhost:9104"],
    ["unix:/nowhere/self.sock", "grpc+unix:/nowhere/other.sock"],
  ])("%s may use %s", async (listen, address) => {
    await expectFailure(1, ["daemon", "-l", listen, ...serviceFlags("memory:", "memory:", address)]);
  });
});

test("keeps its content over restarts, and listens on TCP and on a Unix socket", async () => {
  const tree = join(dir, "tree");
  mkdirSync(tree);
  writeFileSync(join(tree, "file"), "content\n");
  const local = serviceFlags(`file:${join(dir, "store")}`);
  const first = await startDaemon([...ANY_PORT, "--data-dir", data]);
  expect(first.address).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
  const path = (await output(["import", ...serviceFlags(`grpc+${first.address}`), tree])).toString().trim();
  expect(path).toBe((await output(["import", ...local, tree])).toString().trim());
  await expectFailure(1, ["daemon", ...ANY_PORT, "--data-dir", data]);
  expect(await first.stop()).toBe(0);

  const socket = join(dir, "socket");
  const again = await startDaemon(["-l", `unix:${socket}`, "--data-dir", data]);
  expect(again.address).toBe(`unix:${socket}`);
  const nar = await output(["export", ...serviceFlags(`grpc+unix:${socket}`), path]);
  expect(nar).toEqual(await output(["export", ...local, path]));
  expect(await again.stop()).toBe(0);
});

test("preloads a binary cache, and serves the viewer", async () => {
  const viewer = join(dir, "viewer");
  mkdirSync(viewer);
  writeFileSync(join(viewer, "index.html"), "<p>viewer");
  const daemon = await startDaemon([...ANY_PORT, ...IN_MEMORY, "--preload", SAMPLE, "--viewer", viewer]);
  const page = await fetch(`${daemon.address}/`);
  expect(await page.text()).toBe("<p>viewer");
  expect(page.headers.get("content-type")).toBe("text/html; charset=utf-8");
  const cached = await fetch(`${daemon.address}/`, { headers: { "if-none-match": page.headers.get("etag") as string } });
  expect(cached.status).toBe(304);
  const missing = await fetch(`${daemon.address}/missing`, { method: "POST", body: "x".repeat(100_000) });
  expect(missing.status).toBe(404);
  expect((await output(["export", ...serviceFlags(`grpc+${daemon.address}`), HELLO])).length).toBeGreaterThan(0);
  expect(await daemon.stop()).toBe(0);
});

test("its binary cache has the given priority, store directory and form of URLs, and signs with the key", async () => {
  const key = await generateSecretKey("ours-1");
  writeFileSync(join(dir, "key"), `${formatSecretKey(key)}\n`);
  const flags = ["--signing-key", join(dir, "key"), "--priority", "7", "--nar-urls", "snix"];
  const daemon = await startDaemon([...ANY_PORT, ...IN_MEMORY, ...flags, "--preload", SAMPLE]);
  const get = async (path: string): Promise<string> => (await fetch(`${daemon.address}/${path}`)).text();
  expect(await get("nix-cache-info")).toBe("StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 7\n");
  const { url, signatures } = parseNarInfo(await get(`${HELLO}.narinfo`));
  expect(url).toMatch(/^nar\/snix-castore\//);
  expect(signatures.map(({ name }) => name)).toContain(formatPublicKey(publicKeyOf(key)).split(":")[0]);
  expect(await daemon.stop()).toBe(0);
});

test("refuses changes if it is read-only, after it has preloaded a cache", async () => {
  const daemon = await startDaemon([...ANY_PORT, ...IN_MEMORY, "--read-only", "--preload", SAMPLE]);
  expect((await fetch(`${daemon.address}/${HELLO}.narinfo`)).status).toBe(200);
  expect((await fetch(`${daemon.address}/log/${HELLO}-x.drv`, { method: "PUT", body: "log" })).status).toBe(403);
  const imported = await runCli(["import", ...serviceFlags(`grpc+${daemon.address}`), import.meta.filename]);
  expect(imported.status).toBe(1);
  expect(await daemon.stop()).toBe(0);
});

describe("on an address that others reach", () => {
  const ANY_ADDRESS = ["-l", "0.0.0.0:0", ...IN_MEMORY];

  /** Writes over HTTP and by gRPC. Returns the status of both. */
  async function write(daemon: RunningDaemon): Promise<number[]> {
    const address = daemon.address.replace("0.0.0.0", "127.0.0.1");
    const put = await fetch(`${address}/log/${HELLO}-x.drv`, { method: "PUT", body: "log" });
    const imported = await runCli(["import", ...serviceFlags(`grpc+${address}`), import.meta.filename]);
    return [put.status, imported.status];
  }

  test("nobody may write, and a message says so", async () => {
    const daemon = await startDaemon(ANY_ADDRESS);
    expect(await write(daemon)).toEqual([403, 1]);
    const address = daemon.address.replace("0.0.0.0", "127.0.0.1");
    expect((await fetch(`${address}/nix-cache-info`)).status).toBe(200);
    expect(daemon.stderr()).toMatch(/^tvix-store-web: everybody .* may read the store\n$/);
    await daemon.stop();
  });

  test("everybody may write with --allow-anyone, and a message says so", async () => {
    const daemon = await startDaemon([...ANY_ADDRESS, "--allow-anyone"]);
    expect(await write(daemon)).toEqual([201, 0]);
    expect(daemon.stderr()).toMatch(/^tvix-store-web: everybody .* may read and write the store\n$/);
    await daemon.stop();
  });

  test("names that are not allowed are refused, against DNS rebinding", async () => {
    const daemon = await startDaemon([...ANY_ADDRESS, "--allow-host", "store.lan"]);
    const { port } = new URL(daemon.address);
    const ask = (host: string): Promise<number | undefined> =>
      new Promise((resolve, reject) => {
        const sent = request({ port, path: "/nix-cache-info", headers: { host } }, (response) => {
          resolve(response.resume().statusCode);
        });
        sent.on("error", reject).end();
      });
    expect(await Promise.all([ask("store.lan"), ask(`127.0.0.1:${port}`), ask("evil.example.org")])).toEqual([200, 200, 403]);
    await daemon.stop();
  });
});

test.each([
  ["--max-connections", "0"],
  ["--max-connections", "many"],
  ["--request-memory", "15"],
  ["--request-memory", "-1"],
])("refuses %s %s", async (...flag) => {
  await expectFailure(2, ["daemon", ...ANY_PORT, ...IN_MEMORY, ...flag]);
});

test("preloads only caches of its own store directory", async () => {
  const text = readFileSync(join(SAMPLE, `${HELLO}.narinfo`), "utf8");
  const { url } = parseNarInfo(text);
  mkdirSync(join(dir, "cache", "nar"), { recursive: true });
  writeFileSync(join(dir, "cache", `${HELLO}.narinfo`), text.replace("StorePath: /nix/store/", "StorePath: /opt/store/"));
  writeFileSync(join(dir, "cache", url), readFileSync(join(SAMPLE, url)));
  const args = [...ANY_PORT, ...IN_MEMORY, "--preload", join(dir, "cache")];
  const daemon = await startDaemon([...args, "--store-dir", "/opt/store"]);
  const response = await fetch(`${daemon.address}/${HELLO}.narinfo`);
  expect(await response.text()).toMatch(/^StorePath: \/opt\/store\/m51/);
  expect(await daemon.stop()).toBe(0);
  await expectFailure(1, ["daemon", ...args]);
});

test("refuses a signing key whose halves belong to two keys, and does not print it", async () => {
  const [one, other] = [await generateSecretKey("key-1"), await generateSecretKey("key-1")];
  const text = formatSecretKey({ ...one, publicBytes: other.publicBytes });
  const file = join(dir, "key");
  writeFileSync(file, `${text}\n`);
  const reason = await expectFailure(1, ["daemon", "-l", "192.0.2.1:1", ...IN_MEMORY, "--signing-key", file]);
  expect(reason).toContain("public half");
  expect(reason).not.toContain(text.slice(6, 30));
});

test("a request to end is no failure, even while the daemon starts", async () => {
  const controller = new AbortController();
  const context = contextWith(new PassThrough(), controller.signal);
  const ended = runDaemon([...ANY_PORT, "--data-dir", data, "--preload", SAMPLE], context);
  controller.abort(new Error("stop"));
  await ended;
  await expectReleased();
});

describe("a daemon that can't start releases its data directory", () => {
  test.each<[string, (usedPort: string) => string[]]>([
    ["because its viewer is not there", () => ["--viewer", "/nowhere"]],
    ["because the cache to preload is not there", () => ["--preload", "/nowhere"]],
    ["because its key is not there", () => ["--signing-key", "/nowhere"]],
    ["because the address belongs to another machine", () => ["-l", "192.0.2.1:1"]],
    ["because the port is in use", (usedPort) => ["-l", `127.0.0.1:${usedPort}`]],
    ["because another address can't be opened", () => ["--path-info-service-addr", "file:/dev/null"]],
  ])("%s", async (_, flags) => {
    const other = await startDaemon([...ANY_PORT, ...IN_MEMORY]);
    await expectFailure(1, ["daemon", ...ANY_PORT, "--data-dir", data, ...flags(new URL(other.address).port)]);
    await expectReleased();
    expect(await other.stop()).toBe(0);
  });

  test("and its address, because nobody reads its output", async () => {
    const written: string[] = [];
    const stdout = new Writable({
      write(text, _encoding, done) {
        written.push(String(text));
        done(Object.assign(new Error("write EPIPE"), { code: "EPIPE" }));
      },
    });
    stdout.on("error", () => {});
    const context = contextWith(stdout, new AbortController().signal);
    await expect(runDaemon([...ANY_PORT, "--data-dir", data], context)).rejects.toMatchObject({ code: "EPIPE" });
    await expectReleased();
    const address = written.join("").replace("listening on http://", "").trim();
    const again = await startDaemon(["-l", address, "--data-dir", data]);
    expect(await again.stop()).toBe(0);
  });
});

function contextWith(stdout: Writable, signal: AbortSignal): CliContext {
  return { stdin: Readable.from([]), stdout, stderr: new PassThrough(), env: {}, signal };
}

/** Checks that no daemon in this process has the data directory or any of its files open. */
async function expectReleased(): Promise<void> {
  if (tellsOpenFiles) expect(openFilesIn(dir)).toBe(0);
  await (await openEmbeddedStore(data)).close();
}
