import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer, text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";

/** The program as its users run it: compiled, in a process of its own. */

const REPOSITORY = fileURLToPath(new URL("../..", import.meta.url));

let dir: string;
const running: ChildProcess[] = [];

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "tvix-main-"));
  const tsc = join(REPOSITORY, "node_modules", "typescript", "bin", "tsc");
  execFileSync(process.execPath, [tsc, "-p", join(REPOSITORY, "tsconfig.build.json"), "--outDir", join(dir, "dist")]);
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

function start(args: readonly string[]) {
  const child = spawn(process.execPath, [join(dir, "dist", "node", "main.js"), ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { PATH: process.env.PATH },
  });
  running.push(child);
  const ended = once(child, "exit").then(([status, signal]): number | string => status ?? signal);
  return { child, stdout: child.stdout, stderr: text(child.stderr), ended };
}

async function run(args: readonly string[]) {
  const { stdout, stderr, ended } = start(args);
  const out = buffer(stdout);
  return { status: await ended, stdout: await out, stderr: await stderr };
}

async function startDaemon() {
  const daemon = start(["daemon", "-l", "127.0.0.1:0", "--data-dir", join(dir, "data")]);
  const line = await Promise.race([once(daemon.stdout, "data").then(([data]) => String(data)), daemon.stderr]);
  const address = /^listening on (http:\S+)\n$/.exec(line)?.[1];
  if (address === undefined) throw new Error(`the daemon did not start: ${line}`);
  const services = ["blob", "directory", "path-info"].flatMap((service) => [`--${service}-service-addr`, `grpc+${address}`]);
  return { ...daemon, services };
}

test("says one line and 2 when it is called wrongly", async () => {
  const { status, stdout, stderr } = await run(["import"]);
  expect(status).toBe(2);
  expect(stdout).toHaveLength(0);
  expect(stderr).toMatch(/^tvix-store-web: [^\n]+\n$/);
});

test("keeps what a daemon confirmed, even when that is killed", { timeout: 60_000 }, async () => {
  const first = await startDaemon();
  const imported = await run(["import", ...first.services, join(dir, "tree")]);
  expect(imported.stderr).toBe("");
  expect(imported.status).toBe(0);
  const path = imported.stdout.toString().trimEnd();
  first.child.kill("SIGKILL");
  expect(await first.ended).toBe("SIGKILL");

  const second = await startDaemon();
  const exported = await run(["export", ...second.services, path]);
  expect(exported.stderr).toBe("");
  expect(exported.status).toBe(0);
  expect(exported.stdout.length).toBeGreaterThan(4 * 1024 * 1024);

  // A reader that has enough, like `head`.
  const cut = start(["export", ...second.services, path]);
  await once(cut.stdout, "data");
  cut.stdout.destroy();
  expect(await cut.ended).toBe(1);
  expect(await cut.stderr).toMatch(/^tvix-store-web: [^\n]+\n$/);

  second.child.kill("SIGTERM");
  expect(await second.ended).toBe(0);
  expect(await second.stderr).toBe("");
});
