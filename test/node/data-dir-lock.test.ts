import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { lockDataDir } from "../../src/node/data-dir-lock.ts";

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "tvix-lock-"));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const conflict = (owner: string) => ({
  name: "StoreError",
  code: "conflict",
  message: expect.stringMatching(new RegExp(`is in use by ${owner}$`)),
});

/** Starts another process that holds the lock. */
async function otherProcess() {
  const addon = createRequire(import.meta.url).resolve("fs-native-extensions");
  const script = `
    const fs = require("node:fs");
    const fd = fs.openSync(process.argv[2], "a+");
    if (!require(process.argv[1]).tryLock(fd)) throw new Error("locked");
    console.log("locked");
    setInterval(() => {}, 1000);
  `;
  const child = spawn(process.execPath, ["-e", script, addon, join(dir, "lock")], { stdio: ["ignore", "pipe", "inherit"] });
  await once(child.stdout, "data");
  return child;
}

test("a data directory is locked once, also in one process, until it is released", async () => {
  const release = await lockDataDir(dir);
  expect(await readFile(join(dir, "lock"), "latin1")).toBe(`${process.pid}\n`);
  for (let i = 0; i < 2; i++) await expect(lockDataDir(dir)).rejects.toMatchObject(conflict(`process ${process.pid}`));
  await release();
  await (await lockDataDir(dir))();
});

test("another process holds its lock until it ends, even if it is killed", async () => {
  await writeFile(join(dir, "lock"), "no number");
  const child = await otherProcess();
  await expect(lockDataDir(dir)).rejects.toMatchObject(conflict("another process"));
  child.kill("SIGKILL");
  await once(child, "exit");
  await (await lockDataDir(dir))();
});

test("a directory that is missing can't be locked", async () => {
  await expect(lockDataDir(join(dir, "missing"))).rejects.toMatchObject({ code: "unavailable" });
});
