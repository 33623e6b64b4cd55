import { describe, expect, test } from "vitest";
import { utf8 } from "../../src/bytes.ts";
import { digestKey } from "../../src/castore/digest.ts";
import { type Directory, makeDirectory } from "../../src/castore/directory.ts";
import { directoryDigest, directoryNode } from "../../src/castore/directory-codec.ts";
import type { DirectoryService } from "../../src/castore/directory-service.ts";
import { DirectoryReader } from "../../src/store/directory-reader.ts";
import { failure } from "./fixtures.ts";

const LINK = { kind: "symlink", target: utf8("t") } as const;

/** A directory of `count` symlinks. */
const wide = (label: string, count: number): Directory =>
  makeDirectory(Array.from({ length: count }, (_, i) => ({ name: utf8(`${label} ${i}`), node: LINK })));

/** A service that counts its calls. */
function service(directories: readonly Directory[], closure = directories) {
  const counts = { closures: 0, gets: 0, sent: 0, closed: 0 };
  const byKey = new Map(directories.map((directory) => [digestKey(directoryDigest(directory)), directory]));
  const refuse = async (): Promise<never> => {
    throw new Error("nothing is written here");
  };
  const directoryService: DirectoryService = {
    async get(digest) {
      counts.gets++;
      return byKey.get(digestKey(digest));
    },
    async getClosure() {
      counts.closures++;
      if (closure.length === 0) return undefined;
      return (async function* () {
        try {
          for (const directory of closure) {
            counts.sent++;
            yield directory;
          }
        } finally {
          counts.closed++;
        }
      })();
    },
    put: refuse,
    sizeRules: refuse,
  };
  return { counts, directoryService };
}

const leaves = [wide("a", 3), wide("b", 4), wide("c", 5)] as const;
const root = makeDirectory(leaves.map((leaf, i) => ({ name: utf8(`d${i}`), node: directoryNode(leaf, "documented") })));
const tree = [root, ...leaves];

describe("the directories beneath a root", () => {
  test("are read with one request, in any order, and again without one", async () => {
    const { counts, directoryService } = service(tree);
    const reader = new DirectoryReader(directoryService, directoryDigest(root));
    expect(reader.kept(directoryDigest(root))).toBeUndefined();
    for (const directory of [leaves[1], root, leaves[2], leaves[0], leaves[1]]) {
      expect(await reader.read(directoryDigest(directory))).toEqual(directory);
      expect(reader.kept(directoryDigest(directory))).toEqual(directory);
    }
    expect(counts).toMatchObject({ closures: 1, gets: 0, sent: 4 });
  });

  test("are read no further than the wanted one, and the stream is closed", async () => {
    const { counts, directoryService } = service(tree);
    const reader = new DirectoryReader(directoryService, directoryDigest(root));
    await reader.read(directoryDigest(leaves[0]));
    expect(counts.sent).toBe(2);
    await reader.close();
    expect(counts).toMatchObject({ sent: 2, closed: 1 });
    expect(await reader.read(directoryDigest(leaves[2]))).toEqual(leaves[2]);
    expect(counts).toMatchObject({ closures: 1, gets: 1 });
  });

  test.each<[string, Directory[]]>([
    ["there is no closure", []],
    ["the closure lacks one", [root, leaves[0], leaves[1]]],
  ])("are read one by one if %s", async (_, closure) => {
    const { counts, directoryService } = service(tree, closure);
    const reader = new DirectoryReader(directoryService, directoryDigest(root));
    expect(await reader.read(directoryDigest(leaves[2]))).toEqual(leaves[2]);
    expect(counts).toMatchObject({ closures: 1, gets: 1 });
  });

  test("are not found if the store lacks one", async () => {
    const { directoryService } = service([root, leaves[0]]);
    const reader = new DirectoryReader(directoryService, directoryDigest(root));
    expect(await failure(reader.read(directoryDigest(leaves[2])))).toMatchObject({ code: "not-found" });
  });

  test("are not read after an abort", async () => {
    const abort = new AbortController();
    const { counts, directoryService } = service(tree);
    const reader = new DirectoryReader(directoryService, directoryDigest(root), abort.signal);
    await reader.read(directoryDigest(root));
    const reason = new Error("enough");
    abort.abort(reason);
    expect(await failure(reader.read(directoryDigest(leaves[0])))).toBe(reason);
    expect(counts).toMatchObject({ sent: 1, gets: 0 });
    // The root is still here.
    expect(await reader.read(directoryDigest(root))).toEqual(root);
  });
});

describe("at most some 32,768 entries are kept", () => {
  const large = Array.from({ length: 12 }, (_, i) => wide(`large ${i}`, 4095));
  const top = makeDirectory(large.map((one, i) => ({ name: utf8(`d${i}`), node: directoryNode(one, "documented") })));

  test("the stream is closed if more come before the wanted directory", async () => {
    const { counts, directoryService } = service([top, ...large]);
    const reader = new DirectoryReader(directoryService, directoryDigest(top));
    expect(await reader.read(directoryDigest(large[11] as Directory))).toEqual(large[11]);
    // The top has 13 entries, itself included, and each of the others has 4096.
    expect(counts).toMatchObject({ sent: 9, closed: 1, gets: 1 });
  });

  test("the oldest directories are forgotten first", async () => {
    const { counts, directoryService } = service([top, ...large], []);
    const reader = new DirectoryReader(directoryService, directoryDigest(top));
    for (const one of large) await reader.read(directoryDigest(one));
    const kept = large.map((one) => reader.kept(directoryDigest(one)) !== undefined);
    expect(kept).toEqual([false, false, false, ...Array(9).fill(true)]);
    await reader.read(directoryDigest(large[0] as Directory));
    expect(counts.gets).toBe(13);
  });
});
