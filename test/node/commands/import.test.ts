import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { parseNarInfo } from "../../../src/nix/narinfo.ts";
import { serviceFlags } from "../../setup/service-flags.ts";
import { expectFailure, output, startDaemon } from "../run-cli.ts";

const SAMPLE = join(import.meta.dirname, "../../fixtures/sample");
const IN_MEMORY = serviceFlags("memory:");

let dir: string;
let tree: string;
let services: string[];
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "tvix-import-"));
  tree = join(dir, "tree");
  services = serviceFlags(`file:${join(dir, "store")}`);
  mkdirSync(tree);
  writeFileSync(join(tree, "file"), "content\n");
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const imported = async (...args: string[]) => (await output(["import", ...services, ...args])).toString().trim();

test.each([
  [[]],
  [["--frobnicate", "x"]],
  [["--blob-service-addr"]],
  [["a", "b", "--name", "x"]],
  [["a", "b", "--nar-info", "x"]],
  [["a", "--mode", "tar"]],
  [["a", "--hash-algo", "sha3"]],
  [["a", "--mode", "git", "--hash-algo", "blake3"]],
  [["a", "--mode", "text", "--hash-algo", "sha1"]],
  [["a", "--nar-info", "b", "--name", "x"]],
  [["a", "--nar-info", "b", "--mode", "nar"]],
  [["a", "--nar-info", "b", "--hash-algo", "sha256"]],
  [["a", "--nar-info", "b", "--reference", "x"]],
  [["a", "--nar-info", "b", "--derivation"]],
  [["a", "--derivation", "--mode", "text"]],
  [["a", "--derivation", "--name", "x"]],
  [[".", "--blob-service-addr", "bigtable://instance"]],
  [[".", "--path-info-service-addr", "objectstore+file:/nowhere"]],
  [[".", "--directory-service-addr", "objectstore+memory:/nowhere"]],
])("%j is wrong usage", async (args) => {
  await expectFailure(2, ["import", ...args]);
});

test.each([
  ["a missing file", ["/nowhere/at-all"]],
  ["a name that a store path can't have", ["/tmp/sp ace"]],
  ["a device", ["/dev/null"]],
  ["a directory by its bytes", ["--mode", "flat", "/etc/apt"]],
  ["a derivation that is none", ["--derivation", "/etc/hostname"]],
  ["a reference that is not there", ["--mode", "text", "--reference", "0".repeat(32), "/etc/hostname"]],
  ["a missing NARInfo file", ["--nar-info", "/nowhere/at-all", "-"]],
])("fails on %s", async (_, args) => {
  await expectFailure(1, ["import", ...args, ...IN_MEMORY]);
});

test("checks all arguments before it imports anything", async () => {
  await expectFailure(1, ["import", ...services, tree, join(dir, "sp ace")]);
  expect(existsSync(join(dir, "store"))).toBe(false);
});

test("fails if no daemon listens", async () => {
  await expectFailure(1, ["import", ...serviceFlags("grpc+http://127.0.0.1:1"), tree]);
});

test("keeps trees and files in an embedded store", async () => {
  const paths = (await imported(tree, join(tree, "file"))).split("\n");
  expect(paths).toEqual([
    expect.stringMatching(/^\/nix\/store\/[0-9a-z]{32}-tree$/),
    expect.stringMatching(/^\/nix\/store\/[0-9a-z]{32}-file$/),
  ]);
  expect((await output(["cat", ...services, `${paths[0]}/file`])).toString()).toBe("content\n");
  expect((await output(["cat", ...services, `${paths[1]}`])).toString()).toBe("content\n");
  expect(await imported("-n", "other", tree)).toMatch(/-other$/);
});

test.each([
  ["git", "sha1", "fixed:git:sha1:"],
  ["git", undefined, "fixed:git:sha256:"],
  ["nar", "blake3", "fixed:r:blake3:"],
])("by --mode %s --hash-algo %s, keeps a content address that tvix's messages can't hold", async (mode, algorithm, prefix) => {
  const flags = ["--mode", mode, ...(algorithm === undefined ? [] : ["--hash-algo", algorithm])];
  const path = await imported(...flags, tree);
  const json = JSON.parse((await output(["path-info", ...services, "--json", path])).toString());
  expect(json[0].ca).toContain(prefix);
  const version2 = JSON.parse((await output(["path-info", ...services, "--json", "--json-format", "2", path])).toString());
  expect(version2.info[path.slice(11)].ca).toMatchObject({ method: mode });
  // The same works through a daemon.
  const daemon = await startDaemon(["-l", "127.0.0.1:0", ...IN_MEMORY]);
  try {
    const remote = serviceFlags(`grpc+${daemon.address}`);
    expect((await output(["import", ...remote, ...flags, tree])).toString().trim()).toBe(path);
    expect(JSON.parse((await output(["path-info", ...remote, "--json", path])).toString())).toEqual(json);
  } finally {
    await daemon.stop();
  }
});

test("gives a text with references its store path", async () => {
  const text = join(dir, "text");
  const path = await imported(tree);
  writeFileSync(text, `see ${path}`);
  const note = await imported("--mode", "text", "--name", "note.txt", "--reference", path, text);
  expect(note).toMatch(/-note\.txt$/);
  expect(JSON.parse((await output(["path-info", ...services, "--json", note])).toString())).toEqual([
    {
      path: note,
      narHash: expect.stringMatching(/^sha256-/),
      narSize: 168,
      references: [path],
      ca: expect.stringMatching(/^text:sha256:/),
    },
  ]);
});

describe("with --nar-info", () => {
  const names = readdirSync(SAMPLE).filter((file) => file.endsWith(".narinfo"));
  const read = (file: string) => readFileSync(join(SAMPLE, file), "utf8");

  test("imports a NAR under the path of its NARInfo file, from a file and from standard input", async () => {
    const name = names.find((file) => /^References: $/m.test(read(file))) ?? "";
    const { url, storePath } = parseNarInfo(read(name));
    const nar = join(SAMPLE, url);
    const flags = ["--nar-info", join(SAMPLE, name)];
    expect(await imported(...flags, nar)).toBe(storePath);
    expect(await output(["export", ...services, storePath])).toEqual(readFileSync(nar));
    const stdin = readFileSync(nar);
    expect((await output(["import", ...IN_MEMORY, ...flags, "-"], { stdin })).toString()).toBe(`${storePath}\n`);
    await expectFailure(1, ["import", ...IN_MEMORY, ...flags, "-"], { stdin: "no NAR" });
  });

  test("needs the references first", async () => {
    const name = names.find((file) => /^References: \S/m.test(read(file))) ?? "";
    const reason = await expectFailure(1, ["import", ...IN_MEMORY, "--nar-info", join(SAMPLE, name), "/dev/null"]);
    expect(reason).toContain("is not in the store");
  });
});

test("keeps blobs and directories in an object store", async () => {
  const objects = `objectstore+file:${join(dir, "object-store")}`;
  const flags = serviceFlags(objects, objects, `file:${join(dir, "object-store-paths")}`);
  mkdirSync(join(tree, "deep", "er"), { recursive: true });
  writeFileSync(join(tree, "deep", "er", "file"), "deep content\n");
  const path = (await output(["import", ...flags, tree])).toString().trim();
  expect(await imported(tree)).toBe(path);
  expect(readdirSync(join(dir, "object-store")).sort()).toEqual(["blobs", "chunks", "dirs", "tmp"]);
  expect(readdirSync(join(dir, "object-store", "dirs", "b3"))).toHaveLength(1);
  // Each command is a process of its own, which knows nothing of the first one's directories.
  expect(await output(["export", ...flags, path])).toEqual(await output(["export", ...services, path]));
  expect(await output(["ls", "-lR", ...flags, path])).toEqual(await output(["ls", "-lR", ...services, path]));
});
