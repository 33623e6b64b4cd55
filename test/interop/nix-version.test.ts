import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { isNixFrom, nixLine, nixVersion } from "../setup/tools.ts";

test("the tests find the version of Nix for which they were started", async () => {
  const dir = join(tmpdir(), `tvix-nix-version-${process.pid}`);
  const wanted = process.env.TVIX_TEST_NIX_VERSION;
  const version = await nixVersion();
  process.stdout.write(`Nix ${version}\n`);
  if (wanted !== undefined) {
    expect(version).toBe(wanted);
    // Otherwise `npm run test:nix-next` would test nothing new.
    expect(await isNixFrom(2, 34)).toBe(true);
  }
  for (const program of ["nix-store", "nix-build", "nix-instantiate"])
    expect(await nixLine([program, "--version"], { dir })).toBe(`${program} (Nix) ${version}`);
  await rm(dir, { recursive: true });
});
