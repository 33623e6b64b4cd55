import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { ownDataDir } from "../../src/node/data-dir-owner.ts";
import { LmdbEnvironment } from "../../src/node/lmdb.ts";

const KEY = Buffer.from("owner");
const CONFLICT = expect.objectContaining({ name: "StoreError", code: "conflict", message: expect.stringContaining("/data") });

let dir: string;
let environment: LmdbEnvironment;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "tvix-owner-"));
  environment = await LmdbEnvironment.open(join(dir, "store.lmdb"));
});
afterEach(async () => {
  vi.restoreAllMocks();
  await environment.close();
  await rm(dir, { recursive: true, force: true });
});

const own = () => ownDataDir(environment, "/data");
const record = (owner: unknown) => environment.exclusively(() => environment.database("owner").putSync(KEY, toBuffer(owner)));
const toBuffer = (owner: unknown) => Buffer.from(typeof owner === "string" ? owner : JSON.stringify(owner));
const recorded = (): unknown => JSON.parse(environment.database("owner").getBinary(KEY)?.toString() ?? "null");

/** Returns the process number of a process that has ended. */
async function endedProcess(): Promise<number> {
  return Number((await promisify(execFile)(process.execPath, ["-p", "process.pid"])).stdout);
}

test("a data directory has one owner at a time", () => {
  const disown = own();
  expect(recorded()).toEqual({ pid: process.pid, started: expect.any(String) });
  expect(own).toThrow(CONFLICT);
  disown();
  expect(recorded()).toBeNull();
  own()();
});

test("a process that has ended owns nothing", async () => {
  record({ pid: await endedProcess(), started: "" });
  own();
  expect(recorded()).toMatchObject({ pid: process.pid });
});

test("a process that got the number of an earlier owner owns nothing", () => {
  for (const started of ["another boot 1", ""]) {
    // On systems that don't tell when a process started, an empty text is the right one.
    if (started === "" && !existsSync("/proc/self/stat")) continue;
    record({ pid: process.pid, started });
    own()();
  }
});

test.each([
  ["EPERM", true],
  ["ESRCH", false],
])("a process whose signal fails with %s is running: %s", (code, isRunning) => {
  const disown = own();
  vi.spyOn(process, "kill").mockImplementation(() => {
    throw Object.assign(new Error(code), { code });
  });
  if (isRunning) expect(own).toThrow(CONFLICT);
  else own();
  disown();
});

test.each<[string, unknown]>([
  ["no JSON", "{"],
  ["a list", []],
  ["null", null],
  ["no process number", { started: "" }],
  ["no start time", { pid: process.pid }],
  ["a process number of zero", { pid: 0, started: "" }],
  ["a process number with a fraction", { pid: 1.5, started: "" }],
  ["a process number that is a text", { pid: "1", started: "" }],
  ["a start time that is a number", { pid: process.pid, started: 1 }],
])("a record with %s names no owner", (_, owner) => {
  record(owner);
  own();
  expect(recorded()).toMatchObject({ pid: process.pid });
});
