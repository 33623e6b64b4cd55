import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { parseNarInfo } from "../../../src/nix/narinfo.ts";
import { serviceFlags } from "../../setup/service-flags.ts";
import { expectFailure, output } from "../run-cli.ts";
import { unpackNar } from "../unpack-nar.ts";

let dir: string;
let services: string[];
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "tvix-path-info-"));
  services = serviceFlags(`file:${join(dir, "store")}`);
});
afterEach(() => rm(dir, { recursive: true, force: true }));

test.each([[[]], [["--json-format", "xml", "a"]], [["--json-format", "4", "a"]], [["--frobnicate", "a"]]])(
  "%j is wrong usage",
  async (args) => {
    await expectFailure(2, ["path-info", ...args]);
  },
);

test.each([[["0".repeat(32)]], [["-r", "0".repeat(32)]], [["no store path"]]])("fails on %j", async (args) => {
  await expectFailure(1, ["path-info", ...services, ...args]);
});

test("prints each path once, or the closures with dependencies first", async () => {
  const [one, other] = [join(dir, "one"), join(dir, "other")];
  writeFileSync(one, "one");
  const path = (await output(["import", ...services, one])).toString().trim();
  writeFileSync(other, `see ${path}`);
  const flags = ["--mode", "text", "--reference", path];
  const referring = (await output(["import", ...services, ...flags, other])).toString().trim();
  expect((await output(["path-info", ...services, referring])).toString()).toBe(`${referring}\n`);
  const twice = [referring, path, referring.slice(11, 43)];
  expect((await output(["path-info", ...services, ...twice])).toString()).toBe(`${referring}\n${path}\n`);
  expect((await output(["path-info", ...services, "-r", referring, path])).toString()).toBe(`${path}\n${referring}\n`);

  const list = JSON.parse((await output(["path-info", ...services, "--json", referring])).toString());
  const { path: _, ...facts } = list[0];
  const object = await output(["path-info", ...services, "--json-format", "object", referring.slice(11)]);
  expect(JSON.parse(object.toString())).toEqual({ [referring]: facts });
  expect(facts).toMatchObject({ references: [path], ca: expect.stringMatching(/^text:sha256:/) });
});

test.each(["path-info-1.json", "path-info-2.json"])("prints the path infos of Nix 2.34 in %s as they were read", async (file) => {
  const cases = join(import.meta.dirname, "../../fixtures/nix-2.34");
  const root = join(dir, "root");
  mkdirSync(join(root, "nix/store"), { recursive: true });
  for (const name of readdirSync(join(cases, "cache")).filter((name) => name.endsWith(".narinfo"))) {
    const narInfo = parseNarInfo(readFileSync(join(cases, "cache", name), "utf8"));
    unpackNar(readFileSync(join(cases, "cache", narInfo.url)), join(root, narInfo.storePath));
  }
  const text = readFileSync(join(cases, file), "utf8");
  const paths = (await output(["copy", ...services, "--root", root, "-"], { stdin: text })).toString().trim().split("\n");
  const format = file === "path-info-1.json" ? "1" : "2";
  const said = await output(["path-info", ...services, "--json", "--json-format", format, ...paths]);
  const unknown = (key: string, value: unknown) => (key === "registrationTime" ? null : key === "ultimate" ? false : value);
  expect(JSON.parse(said.toString())).toEqual(JSON.parse(text, unknown));
  // Another store can read them in format 3.
  const version3 = await output(["path-info", ...services, "--json-format", "3", ...paths]);
  const again = serviceFlags(`file:${join(dir, "again")}`);
  const copied = await output(["copy", ...again, "--root", root, "-"], { stdin: version3 });
  expect(copied.toString().trim().split("\n").sort()).toEqual(paths.sort());
});
