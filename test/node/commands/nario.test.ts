import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import { serviceFlags } from "../../setup/service-flags.ts";
import { expectFailure, output } from "../run-cli.ts";

/** Two store paths, dependencies first, as `nix-store --export` of Nix 2.34 wrote them. */
const FILE = join(import.meta.dirname, "../../fixtures/nix-2.34/export.nario");
const NARIO = readFileSync(FILE);

let dir: string;
let services: string[];
let paths: string[];
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "tvix-nario-"));
  services = serviceFlags(`file:${join(dir, "store")}`);
  paths = (await output(["nario", "import", ...services, FILE])).toString().trim().split("\n");
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const lines = (...all: (string | undefined)[]): string => all.map((one) => `${one}\n`).join("");

test("import prints the store paths of a nario, compressed or not", async () => {
  expect(paths).toEqual([expect.stringMatching(/-case-lib-1\.0$/), expect.stringMatching(/-case-selfish\+2\.0$/)]);
  for (const stdin of [NARIO, gzipSync(NARIO)])
    expect((await output(["nario", "import", ...serviceFlags("memory:"), "-"], { stdin })).toString()).toBe(lines(...paths));
});

test("export writes the given paths, or their closures", async () => {
  const [library, selfish] = paths as [string, string];
  expect((await output(["nario", "export", ...services, library, selfish])).equals(NARIO)).toBe(true);
  expect((await output(["nario", "export", "-r", ...services, selfish])).equals(NARIO)).toBe(true);
  const one = await output(["nario", "export", ...services, library, library]);
  expect((await output(["nario", "list", "-"], { stdin: one })).toString()).toMatch(/^\S+-case-lib-1\.0: \d+ bytes\n$/);
});

test("export includes the content address with --signatures, and import keeps it", async () => {
  const added = (await output(["import", ...services, import.meta.filename])).toString().trim();
  const caOf = async (nario: Buffer): Promise<unknown> => {
    const other = serviceFlags(`file:${await mkdtemp(join(dir, "other-"))}`);
    await output(["nario", "import", ...other, "-"], { stdin: nario });
    return JSON.parse((await output(["path-info", ...other, "--json", added])).toString())[0].ca;
  };
  expect(await caOf(await output(["nario", "export", ...services, added]))).toBeUndefined();
  const noted = await output(["nario", "export", "--signatures", "--format", "1", ...services, added]);
  expect(await caOf(noted)).toMatch(/^fixed:r:sha256:/);
});

test("list prints the store paths and the sizes of their NARs", async () => {
  const sizes = JSON.parse((await output(["path-info", ...services, "--json", ...paths])).toString()).map(
    ({ narSize }: { narSize: number }) => narSize,
  );
  const expected = lines(...paths.map((path, i) => `${path}: ${sizes[i]} bytes`));
  expect((await output(["nario", "list", FILE])).toString()).toBe(expected);
  expect((await output(["nario", "list", "-"], { stdin: gzipSync(NARIO) })).toString()).toBe(expected);
});

test.each([
  [[]],
  [["pack", "x"]],
  [["export"]],
  [["import"]],
  [["import", "a", "b"]],
  [["list"]],
  [["list", "a", "b"]],
  [["list", "-r", "a"]],
  [["import", "--signatures", "a"]],
  [["export", "--format", "2", "a"]],
])("%j is wrong usage", async (args) => {
  await expectFailure(2, ["nario", ...args]);
});

test.each([
  ["a missing file", ["import", "/nowhere/at-all"]],
  ["a missing file", ["list", "/nowhere/at-all"]],
  ["a file that is no nario", ["list", import.meta.filename]],
  ["a missing store path", ["export", "0".repeat(32)]],
  ["the closure of a missing store path", ["export", "-r", "0".repeat(32)]],
  ["what is no store path", ["export", "missing"]],
])("fails on %s: %j", async (_, args) => {
  await expectFailure(1, ["nario", ...args, ...services]);
});
