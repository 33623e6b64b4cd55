import { mkdirSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { isTooDeepForNix, makeTree, TREE_KINDS } from "../fixtures/trees.ts";
import { runCli } from "../node/run-cli.ts";
import { serviceFlags } from "../setup/service-flags.ts";
import { nix, nixLine, removeNixStore } from "../setup/tools.ts";
import { LET_BUILD } from "./nix-expressions.ts";

let dir: string;
let nixDir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "tvix-cli-nix-"));
  nixDir = join(dir, "nix");
});
afterAll(async () => {
  await removeNixStore(nixDir);
  await rm(dir, { recursive: true, force: true });
});

async function cli(args: string[], stdin?: string): Promise<Buffer> {
  const address = `file:${join(dir, "store")}`;
  const services = serviceFlags(address);
  const { status, stdout, stderr } = await runCli([...args, ...services], { stdin });
  expect(stderr).toBe("");
  expect(status).toBe(0);
  return stdout;
}

describe.each(TREE_KINDS)("the tree %s", (kind) => {
  test("has the store path and the NAR that Nix gives it", { timeout: 60_000 }, async () => {
    const tree = await makeTree(kind, dir);
    const path = (await cli(["import", tree])).toString().trimEnd();
    if (await isTooDeepForNix(kind)) {
      await expect(nix(["nix-store", "--add", tree], { dir: nixDir })).rejects.toThrow(/depth/);
      return;
    }
    expect(path).toBe(await nixLine(["nix-store", "--add", tree], { dir: nixDir }));
    const nar = await cli(["export", path]);
    expect(Buffer.compare(nar, await nix(["nix-store", "--dump", tree], { dir: nixDir }))).toBe(0);
  });
});

test("copy imports a closure with its references from Nix's JSON", { timeout: 60_000 }, async () => {
  const source = join(dir, "closure");
  mkdirSync(source);
  writeFileSync(join(source, "default.nix"), CLOSURE);
  const built = await nixLine(["nix-build", "--no-out-link", join(source, "default.nix")], { dir: nixDir });
  const json = (await nix(["nix", "path-info", "--json", "--recursive", built], { dir: nixDir })).toString();
  const copied = (await cli(["copy", "-", "--root", nixDir], json)).toString().trimEnd().split("\n");
  expect(copied.at(-1)).toBe(built);
  const closure = (await nixLine(["nix-store", "--query", "--requisites", built], { dir: nixDir })).split("\n");
  expect([...copied].sort()).toEqual([...closure].sort());
  expect(copied.length).toBeGreaterThan(1);
  for (const path of closure) {
    const nar = await nix(["nix-store", "--dump", join(nixDir, path)], { dir: nixDir });
    expect(Buffer.compare(await cli(["export", path]), nar)).toBe(0);
  }
});

const CLOSURE = `${LET_BUILD}in build "outer" "echo \${build "inner" "echo inner > $out"} $out > $out"
`;
