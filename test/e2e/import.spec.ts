import { execFile } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { makeTree, TREE_KINDS, tarOf } from "../fixtures/trees.ts";
import { nix, nixLine } from "../setup/tools.ts";
import { expect, test } from "./fixtures.ts";

const PICKED = ["wide", "deep", "sort-order", "hard-links", "executables", "symlinks", "empty"] as const;

/** Removes entries that a picked folder can't represent. */
async function leavePickable(tree: string): Promise<void> {
  const run = promisify(execFile);
  await run("find", [tree, "-type", "l", "-delete"]);
  await run("find", [tree, "-type", "f", "-exec", "chmod", "644", "{}", "+"]);
  await run("find", [tree, "-mindepth", "1", "-type", "d", "-empty", "-delete"]);
}

for (const kind of TREE_KINDS) {
  test(`a page's imports of ${kind} have nix-store's path, and render its NAR`, async ({ libraryPage: page, dir }) => {
    const tree = await makeTree(kind, dir);
    const storePath = await nixLine(["nix-store", "--add", tree], { dir: join(dir, "nix") });
    const nar = await nix(["nix-store", "--dump", tree], { dir: join(dir, "nix") });
    await writeFile(join(dir, "tree.tar"), await tarOf(tree));
    await writeFile(join(dir, "tree.nar"), nar);

    for (const format of ["tar", "nar"] as const) {
      await page.setInputFiles("#file", join(dir, `tree.${format}`));
      const info = await page.evaluate(
        async ([as, name]) => {
          const store = await window.tvix.openStore(`import-${as}-${name}`, { workers: 1 });
          const file = (document.querySelector("#file") as HTMLInputElement).files?.[0];
          if (!file) throw new Error("no file");
          // A tar is imported from a stream. A NAR is imported from a Blob, which the worker reads
          // itself.
          const imported = as === "tar" ? await store.importTar(file.stream(), { name }) : await store.importNar(file, { name });
          const digest = await crypto.subtle.digest(
            "SHA-256",
            await new Response(store.nar(imported.storePath) as BodyInit).arrayBuffer(),
          );
          await store.close();
          return {
            storePath: imported.storePath,
            narSize: imported.narSize,
            narHash: imported.narHash,
            rendered: [...new Uint8Array(digest)],
          };
        },
        [format, kind] as const,
      );
      expect(info.storePath).toBe(storePath);
      expect(info.narSize).toBe(nar.length);
      expect(info.narHash).toBe(`sha256-${Buffer.from(info.rendered).toString("base64")}`);
    }
  });
}

for (const kind of PICKED) {
  test(`a picked folder with ${kind} has nix-store's path`, async ({ libraryPage: page, dir }) => {
    const tree = await makeTree(kind, dir);
    await leavePickable(tree);
    const storePath = await nixLine(["nix-store", "--add", tree], { dir: join(dir, "nix") });
    await page.setInputFiles("#folder", tree);
    const imported = await page.evaluate(async (name) => {
      const store = await window.tvix.openStore(crypto.randomUUID(), { workers: 1 });
      const files = (document.querySelector("#folder") as HTMLInputElement).files;
      const info = await store.importDirectory(files ?? [], { name });
      await store.close();
      return info;
    }, kind);
    expect(imported.storePath).toBe(storePath);
    expect(imported.notTold).toEqual(["executable-bits", "symlinks", "empty-directories"]);
  });
}

test("a directory handle shows empty directories too", async ({ libraryPage: page, dir }) => {
  const info = await page.evaluate(async () => {
    const store = await window.tvix.openStore(crypto.randomUUID(), { workers: 1 });
    const root = await (await navigator.storage.getDirectory()).getDirectoryHandle("tree", { create: true });
    await root.getDirectoryHandle("empty", { create: true });
    const sub = await root.getDirectoryHandle("sub", { create: true });
    for (const [directory, name, text] of [
      [root, "a", "content of a"],
      [sub, "b", ""],
    ] as const) {
      const writable = await (await directory.getFileHandle(name, { create: true })).createWritable();
      await writable.write(text);
      await writable.close();
    }
    const imported = await store.importDirectory(root, { name: "tree" });
    await store.close();
    return imported;
  });
  const tree = join(dir, "tree");
  await mkdir(join(tree, "empty"), { recursive: true });
  await mkdir(join(tree, "sub"));
  await writeFile(join(tree, "a"), "content of a");
  await writeFile(join(tree, "sub/b"), "");
  expect(info.storePath).toBe(await nixLine(["nix-store", "--add", tree], { dir: join(dir, "nix") }));
  expect(info.notTold).toEqual(["executable-bits", "symlinks"]);
});
