import { execFile } from "node:child_process";
import { readdirSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { nix, nixLine, removeNixStore } from "../setup/tools.ts";

/** GNU tar and Nix give the archives the paths that tar.test.ts expects. */

const ARCHIVES = join(import.meta.dirname, "archives");
const TREE = "/nix/store/8ma09mm7nw9hvg4s05g3h8p0zg3jn09b-tree";
const HOLES = "/nix/store/aiij1a86rd18wvg5bjz6h9a6i28pzjxy-holes";

/**
 * Nix 2.8 unpacks with libarchive's writer, which calls such a link an error; `fetchTarball` of Nix
 * 2.34 reads it.
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

  test("GNU tar unpacks it to what we import", async () => {
    const dir = await mkdtemp(join(work, "unpacked-"));
    await promisify(execFile)("tar", ["--no-same-owner", "-xf", archive, "-C", dir]);
    expect(await nixLine(["nix-store", "--add", join(dir, name)], { dir: work })).toBe(storePath);
    await rm(dir, { recursive: true });
  });

  test.skipIf(NOT_BY_NIX.test(path))("so does Nix", async () => {
    const url = pathToFileURL(archive).href;
    const answer = await nix(["nix-prefetch-url", "--unpack", "--print-path", "--name", name, url], { dir: work });
    expect(answer.toString().trimEnd().split("\n")[1]).toBe(storePath);
  });
});
