import { execFile } from "node:child_process";
import { readdirSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { nix, nixLine, removeNixStore } from "../setup/tools.ts";

/**
 * Checks that GNU tar and Nix give the archives the store paths that tar-entries.test.ts expects.
 */

const ARCHIVES = join(import.meta.dirname, "archives");
const TREE = "/nix/store/8ma09mm7nw9hvg4s05g3h8p0zg3jn09b-tree";
const HOLES = "/nix/store/aiij1a86rd18wvg5bjz6h9a6i28pzjxy-holes";

/**
 * Archives with a hard link to itself. Nix 2.8 unpacks with libarchive's writer, which rejects such
 * a link. `fetchTarball` of Nix 2.34 accepts it.
 */
const NOT_BY_NIX = /self-hard-?link\.tar$/;

const archives = ["", "cases", "sparse"].flatMap((dir) =>
  readdirSync(join(ARCHIVES, dir))
    .filter((name) => /\.(?:tar(?:\.\w+)?|tgz)$/.test(name))
    .map((name) => join(dir, name)),
);

let work: string;
beforeAll(async () => {
  work = await mkdtemp(join(tmpdir(), "tar-tools-"));
});
afterAll(() => removeNixStore(work));

describe.each(archives)("%s", (path) => {
  const archive = join(ARCHIVES, path);
  const [name, storePath] = path.startsWith("sparse") ? ["holes", HOLES] : ["tree", TREE];

  test("GNU tar unpacks the tree that we import", async () => {
    const dir = await mkdtemp(join(work, "unpacked-"));
    await promisify(execFile)("tar", ["--no-same-owner", "-xf", archive, "-C", dir]);
    expect(await nixLine(["nix-store", "--add", join(dir, name)], { dir: work })).toBe(storePath);
    await rm(dir, { recursive: true });
  });

  test.skipIf(NOT_BY_NIX.test(path))("Nix unpacks the tree that we import", async () => {
    const url = pathToFileURL(archive).href;
    const answer = await nix(["nix-prefetch-url", "--unpack", "--print-path", "--name", name, url], { dir: work });
    expect(answer.toString().trimEnd().split("\n")[1]).toBe(storePath);
  });
});
