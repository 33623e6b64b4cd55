import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { copyFileSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { isAbsolute, join } from "node:path";
import { buffer, text } from "node:stream/consumers";
import { createServer } from "node:tls";
import { fileURLToPath } from "node:url";
import { rolldown } from "rolldown";
import { afterAll, beforeAll, expect, test } from "vitest";
import { serviceFlags } from "../setup/service-flags.ts";
import { expectFailure, output, startDaemon as startDaemonHere } from "./run-cli.ts";

/**
 * Tests the program in its own process, as users run it. Commands for which the process makes no
 * difference run in the process of the test, because a process takes a second to start.
 */

const REPOSITORY = fileURLToPath(new URL("../..", import.meta.url));

let dir: string;
const running: ChildProcess[] = [];

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "tvix-main-"));
  // One file starts much faster than the compiled modules. `test/docs` runs those.
  const isPackage = (id: string) => !id.startsWith(".") && !isAbsolute(id);
  const build = await rolldown({ input: join(REPOSITORY, "src/node/main.ts"), platform: "node", external: isPackage });
  await build.write({ file: join(dir, "dist", "node", "main.js"), format: "esm", codeSplitting: false });
  await build.close();
  copyFileSync(join(REPOSITORY, "package.json"), join(dir, "package.json"));
  symlinkSync(join(REPOSITORY, "node_modules"), join(dir, "node_modules"));
  mkdirSync(join(dir, "tree"));
  for (let i = 0; i < 100; i++) writeFileSync(join(dir, "tree", `file-${i}`), `${i}\n`);
  writeFileSync(join(dir, "tree", "large"), Buffer.alloc(4 * 1024 * 1024, "large"));
}, 60_000);

afterAll(async () => {
  for (const child of running) child.kill("SIGKILL");
  await rm(dir, { recursive: true, force: true });
});

interface StartOptions {
  /** Command that runs the program, such as `unshare`. */
  readonly before?: readonly string[];
  readonly env?: Record<string, string>;
}

function start(args: readonly string[], { before = [], env }: StartOptions = {}) {
  const [program = process.execPath, ...rest] = [...before, process.execPath, join(dir, "dist", "node", "main.js"), ...args];
  const child = spawn(program, rest, {
    stdio: ["ignore", "pipe", "pipe"],
    env: { PATH: process.env.PATH, ...env },
  });
  running.push(child);
  const ended = once(child, "exit").then(([status, signal]): number | string => status ?? signal);
  return { child, stdout: child.stdout, stderr: text(child.stderr), ended };
}

async function run(args: readonly string[], options?: StartOptions) {
  const { stdout, stderr, ended } = start(args, options);
  const out = buffer(stdout);
  return { status: await ended, stdout: await out, stderr: await stderr };
}

async function startDaemon({ dataDir = join(dir, "data"), ...options }: StartOptions & { readonly dataDir?: string } = {}) {
  const daemon = start(["daemon", "-l", "127.0.0.1:0", "--data-dir", dataDir], options);
  const line = await Promise.race([once(daemon.stdout, "data").then(([data]) => String(data)), daemon.stderr]);
  const address = /^listening on (http:\S+)\n$/.exec(line)?.[1];
  if (address === undefined) throw new Error(`the daemon did not start: ${line}`);
  const services = serviceFlags(`grpc+${address}`);
  return { ...daemon, address, services };
}

test("prints one line and exits with 2 for wrong usage", async () => {
  const { status, stdout, stderr } = await run(["import"]);
  expect(status).toBe(2);
  expect(stdout).toHaveLength(0);
  expect(stderr).toMatch(/^tvix-store-web: [^\n]+\n$/);
});

test("keeps all confirmed data, even if the daemon is killed", { timeout: 60_000 }, async () => {
  const first = await startDaemon();
  const path = (await output(["import", ...first.services, join(dir, "tree")])).toString().trimEnd();
  first.child.kill("SIGKILL");
  expect(await first.ended).toBe("SIGKILL");

  const second = await startDaemon();
  expect((await output(["export", ...second.services, path])).length).toBeGreaterThan(4 * 1024 * 1024);

  // This reader stops early, as `head` does.
  const cut = start(["export", ...second.services, path]);
  await once(cut.stdout, "data");
  cut.stdout.destroy();
  expect(await cut.ended).toBe(1);
  expect(await cut.stderr).toMatch(/^tvix-store-web: [^\n]+\n$/);

  second.child.kill("SIGTERM");
  expect(await second.ended).toBe(0);
  expect(await second.stderr).toBe("");
});

/** Size of a log that a test puts, in bytes. */
const LOG_SIZE = 100_000;

// Some containers don't allow mounts. The test is skipped there.
const canMount = spawnSync("unshare", ["-rm", "mount", "-t", "tmpfs", "tmpfs", tmpdir()]).status === 0;

test.skipIf(!canMount)(
  "keeps working on a full disk, reports it, and goes on when there is space",
  { timeout: 60_000 },
  async () => {
    const disk = join(dir, "disk");
    mkdirSync(disk);
    // The daemon gets a small disk of its own, which no other process sees.
    const mounted = [
      "unshare",
      "-rm",
      "sh",
      "-c",
      `mount -t tmpfs -o size=32m tmpfs ${disk} && head -c 8M /dev/zero > ${disk}/filler && exec "$@"`,
      "sh",
    ];
    const daemon = await startDaemon({ dataDir: join(disk, "data"), before: mounted });
    const put = async (name: string): Promise<number> => {
      const answer = await fetch(`${daemon.address}/log/${name}`, { method: "PUT", body: randomBytes(LOG_SIZE) });
      await answer.arrayBuffer();
      return answer.status;
    };
    const name = (i: number): string => `${String(i).padStart(32, "0")}-x.drv`;
    const statuses: number[] = [];
    while (statuses.filter((status) => status !== 201).length < 5) statuses.push(await put(name(statuses.length)));
    // 507 is Insufficient Storage.
    expect([...new Set(statuses)].sort()).toEqual([201, 507]);
    expect(statuses.length).toBeGreaterThan(40);
    // The daemon still has all confirmed data.
    for (const [i, status] of statuses.entries()) {
      if (status !== 201) continue;
      const answer = await fetch(`${daemon.address}/log/${name(i)}`);
      expect((await answer.arrayBuffer()).byteLength).toBe(LOG_SIZE);
    }
    // Every service reports it, whatever it writes: objects, directories or the database alone.
    const small = join(dir, "small");
    writeFileSync(small, randomBytes(LOG_SIZE));
    expect(await expectFailure(1, ["import", ...daemon.services, small])).toMatch(/can't store|can't write/);
    rmSync(`/proc/${daemon.child.pid}/root${disk}/filler`);
    expect(await put(name(statuses.length))).toBe(201);
    const path = (await output(["import", ...daemon.services, small])).toString().trimEnd();
    daemon.child.kill("SIGKILL");
    expect(await daemon.ended).toBe("SIGKILL");
    expect(path).toMatch(/-small$/);
  },
);

test("is reachable through a proxy with TLS, by gRPC and as a binary cache", { timeout: 120_000 }, async () => {
  const daemon = await startDaemonHere(["-l", "127.0.0.1:0", "--data-dir", join(dir, "behind-tls")]);
  const certificate = join(REPOSITORY, "test/fixtures/certificate.pem");
  const pem = readFileSync(certificate);
  const protocols: unknown[] = [];
  const proxy = createServer({ cert: pem, key: pem, ALPNProtocols: ["h2", "http/1.1"] }, (socket) => {
    protocols.push(socket.alpnProtocol);
    const onward = connect(Number(new URL(daemon.address).port), "127.0.0.1");
    socket.pipe(onward).pipe(socket);
    socket.on("error", () => onward.destroy());
    onward.on("error", () => socket.destroy());
  });
  await once(proxy.listen(0, "127.0.0.1"), "listening");
  const at = proxy.address();
  if (at === null || typeof at === "string") throw new Error("the proxy has no port");
  const host = `127.0.0.1:${at.port}`;
  const services = serviceFlags(`grpc+https://${host}`);
  const trust = { env: { NODE_EXTRA_CA_CERTS: certificate } };

  const imported = await run(["import", ...services, join(dir, "tree")], trust);
  expect(imported).toMatchObject({ status: 0, stderr: "" });
  const path = imported.stdout.toString().trimEnd();
  const exported = await run(["export", ...services, path], trust);
  expect(exported).toMatchObject({ status: 0, stderr: "" });
  expect(exported.stdout.length).toBeGreaterThan(4 * 1024 * 1024);
  expect(new Set(protocols)).toEqual(new Set(["h2"]));

  for (const from of [`grpc+https://${host}`, `nix+https://${host}?require-sigs=false`]) {
    const target = join(dir, `by-${from.slice(0, 4)}`);
    const services = serviceFlags(`file:${target}`);
    const copied = await run(["copy", "--from", from, ...services, path], trust);
    expect(copied).toMatchObject({ status: 0, stderr: "" });
    expect((await output(["export", ...services, path])).equals(exported.stdout)).toBe(true);
  }
  expect(protocols).toContain("http/1.1");

  // Without the certificate as a trusted one, the connection fails.
  await expectFailure(1, ["export", ...services, path]);

  proxy.close();
  expect(await daemon.stop()).toBe(0);
});
