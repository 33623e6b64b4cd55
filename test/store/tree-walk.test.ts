import { expect, test } from "vitest";
import { createMemoryStore } from "../../src/backends/memory.ts";
import { utf8 } from "../../src/bytes.ts";
import { type Directory, makeDirectory } from "../../src/castore/directory.ts";
import { directoryDigest, directoryNode } from "../../src/castore/directory-codec.ts";
import type { DirectoryNode } from "../../src/castore/node.ts";
import { DirectoryReader } from "../../src/store/directory-reader.ts";
import { TreeWalk } from "../../src/store/tree-walk.ts";
import { failure } from "./fixtures.ts";

const LINK = { kind: "symlink", target: utf8("t") } as const;

/** A chain of directories, the innermost first. Each has a link before and after its child. */
function nested(levels: number): Directory[] {
  const directories: Directory[] = [];
  for (let i = 0; i < levels; i++) {
    const child = directories.at(-1);
    const entries = [
      { name: utf8("a"), node: LINK },
      ...(child ? [{ name: utf8("b"), node: directoryNode(child, "documented") }] : []),
      { name: utf8("c"), node: LINK },
    ];
    directories.push(makeDirectory(entries));
  }
  return directories;
}

async function walkInto(levels: number) {
  const directories = nested(levels);
  const store = createMemoryStore();
  const root = await store.directories.put(directories);
  return { directories, root, walk: new TreeWalk<number>(new DirectoryReader(store.directories, root)) };
}

test("a walk goes through the entries in order, and knows what it is inside", async () => {
  const { root, walk, directories } = await walkInto(3);
  expect(walk.current).toBeUndefined();
  expect(walk.next()).toBeUndefined();
  const seen: string[] = [];
  await walk.enter(root, 0);
  for (let top = walk.current; top; top = walk.current) {
    expect(top.digest).toEqual(directoryDigest(directories[2 - top.state] as Directory));
    const entry = walk.next();
    seen.push(`${top.state}${entry ? new TextDecoder().decode(entry.name) : "."}`);
    if (!entry) walk.leave();
    else if (entry.node.kind === "directory") await walk.enter(entry.node.digest, top.state + 1);
  }
  expect(seen.join(" ")).toBe("0a 0b 1a 1b 2a 2c 2. 1c 1. 0c 0.");
});

test("a directory may be nested inside 1024 others, and no deeper", async () => {
  const { root, walk } = await walkInto(1026);
  let digest = root;
  for (let depth = 0; depth <= 1024; depth++) {
    const { entries } = await walk.enter(digest, depth);
    const child = entries[1]?.node as DirectoryNode;
    digest = child.digest;
  }
  expect(await failure(walk.enter(digest, 1025))).toMatchObject({ name: "StoreError", code: "invalid" });
});

test("a missing directory is not found", async () => {
  const { walk } = await walkInto(1);
  expect(await failure(walk.enter(directoryDigest(makeDirectory([{ name: utf8("x"), node: LINK }])), 0))).toMatchObject({
    code: "not-found",
  });
});
