import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { serviceFlags } from "../../setup/service-flags.ts";
import { expectFailure, output } from "../run-cli.ts";

let dir: string;
let services: string[];
let path: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "tvix-cat-"));
  services = serviceFlags(`file:${join(dir, "store")}`);
  const tree = join(dir, "tree");
  mkdirSync(join(tree, "sub"), { recursive: true });
  writeFileSync(join(tree, "file"), "content\n");
  writeFileSync(join(tree, "sub", "more"), "more\n");
  path = (await output(["import", ...services, tree])).toString().trim();
});
afterAll(() => rm(dir, { recursive: true, force: true }));

test("writes a file", async () => {
  expect((await output(["cat", ...services, `${path}/sub/more`])).toString()).toBe("more\n");
  expect((await output(["cat", ...services, `${path.slice(11, 43)}/file`])).toString()).toBe("content\n");
});

test.each([[[]], [["a", "b"]], [["-x", "a"]]])("%j is wrong usage", async (args) => {
  await expectFailure(2, ["cat", ...args]);
});

test.each(["", "/sub", "/sub/none", "/file/x", "/../x"])("fails on STORE_PATH%s", async (inner) => {
  await expectFailure(1, ["cat", ...services, `${path}${inner}`]);
});

test("fails on a file of a missing path", async () => {
  await expectFailure(1, ["cat", ...services, `${"0".repeat(32)}/bin`]);
});

// This test is the last one: it damages the store.
test("fails on a file whose blob is missing, and names the blob", async () => {
  for (const kind of ["blobs", "chunks"]) rmSync(join(dir, "store", kind), { recursive: true });
  expect(await expectFailure(1, ["cat", ...services, `${path}/file`])).toMatch(/blob b3:\S+ of \S+\/file is missing/);
});
