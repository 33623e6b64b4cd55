import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, Readable, Writable } from "node:stream";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runExport } from "../../../src/node/commands/export.ts";
import { LmdbEnvironment } from "../../../src/node/lmdb.ts";
import { serviceFlags } from "../../setup/service-flags.ts";
import { expectFailure, output } from "../run-cli.ts";

const SAMPLE = join(import.meta.dirname, "../../fixtures/sample");
const HELLO = "v0vs3yl60arf6rv126948zlh7sz3a3cj";
const TEXT = readFileSync(join(SAMPLE, `${HELLO}.narinfo`), "utf8");
const NAR = readFileSync(join(SAMPLE, /^URL: (.*)$/m.exec(TEXT)?.[1] ?? ""));

let dir: string;
let services: string[];
let path: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "tvix-export-"));
  services = serviceFlags(`file:${join(dir, "store")}`);
  const flags = ["--nar-info", join(SAMPLE, `${HELLO}.narinfo`), "-"];
  path = (await output(["import", ...services, ...flags], { stdin: NAR })).toString().trim();
});
afterAll(() => rm(dir, { recursive: true, force: true }));

test("writes the NAR of a store path, or of its hash part", async () => {
  expect((await output(["export", ...services, path])).equals(NAR)).toBe(true);
  expect((await output(["export", ...services, HELLO])).equals(NAR)).toBe(true);
});

test.each([[[]], [["a", "b"]], [["--json", "a"]]])("%j is wrong usage", async (args) => {
  await expectFailure(2, ["export", ...args]);
});

test.each([
  ["a missing store path", `/nix/store/${"0".repeat(32)}-missing`],
  ["a store path with another name", `/nix/store/${HELLO}-other`],
  ["what is no store path", "missing"],
])("fails on %s", async (_, operand) => {
  await expectFailure(1, ["export", ...services, operand]);
});

test("ends if the reader of its output goes away", async () => {
  const stdout = new Writable({
    write: (_part, _encoding, done) => done(Object.assign(new Error("write EPIPE"), { code: "EPIPE" })),
  });
  stdout.on("error", () => {});
  const context = { stdin: Readable.from([]), stdout, stderr: new PassThrough(), env: {}, signal: new AbortController().signal };
  await expect(runExport([...services, path], context)).rejects.toMatchObject({ code: "EPIPE" });
});

test("reports a path info that names other content as corrupt", async () => {
  const environment = await LmdbEnvironment.open(join(dir, "store", "store.lmdb"));
  const info = await environment.pathInfos.get(HELLO);
  if (!info) throw new Error("it was imported");
  const narHash = `sha256-${btoa("x".repeat(32))}`;
  const storePath = `/nix/store/${"0".repeat(32)}-other`;
  await environment.pathInfos.put({ ...info, ca: undefined, storePath, narHash, signatures: [] });
  await environment.close();
  const context = {
    ...{ stdin: Readable.from([]), stdout: new PassThrough().resume(), stderr: new PassThrough() },
    ...{ env: {}, signal: new AbortController().signal },
  };
  await expect(runExport([...services, storePath], context)).rejects.toMatchObject({ name: "StoreError", code: "corrupt" });
});
