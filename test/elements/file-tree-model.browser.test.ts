import { expect, test, vi } from "vitest";
import { concatBytes, utf8 } from "../../src/bytes.ts";
import { type Branch, FileTreeModel } from "../../src/elements/file-tree-model.ts";
import { StoreError } from "../../src/index.ts";
import type { ListEntry } from "../../src/store/list-entry.ts";
import { directory, each, entry, failing, held, link } from "./fake-store.browser.ts";

type Listing = Readonly<Record<string, readonly ListEntry[]>>;

/** A tree whose directories are read from `listing`, by path. */
class Tree {
  readonly model: FileTreeModel;
  readonly chosen: string[] = [];
  readonly revealed: number[] = [];
  /** The paths of the directories that were read. */
  readonly reads: string[] = [];
  changes = 0;

  constructor(listing: Listing | ((path: string) => AsyncIterable<ListEntry>)) {
    this.model = new FileTreeModel({
      read: (bytes) => {
        const path = new TextDecoder().decode(bytes);
        this.reads.push(path);
        if (typeof listing === "function") return listing(path);
        return each(listing[path] ?? []);
      },
      changed: () => {
        this.changes += 1;
      },
      reveal: (index) => this.revealed.push(index),
      chosen: ({ label }) => this.chosen.push(label),
    });
  }

  /** Each row, indented by its level; the active one is marked. */
  get rows(): string[] {
    const { model } = this;
    return model.visible.map((branch) => `${branch === model.active ? ">" : " "}${"  ".repeat(branch.level - 1)}${branch.label}`);
  }

  get active(): string | undefined {
    return this.model.active?.label;
  }

  row(label: string): Branch {
    const branch = this.model.visible.find((one) => one.label === label);
    if (!branch) throw new Error(`no row ${label}`);
    return branch;
  }

  press(...keys: string[]): void {
    for (const key of keys) this.model.press(key, 3);
  }
}

const LISTING: Listing = {
  "": [entry("b.txt"), directory("dir"), entry("B.txt"), directory("alone"), link("a", "b.txt")],
  dir: [entry("one"), directory("sub"), entry("two")],
  "dir/sub": [entry("deep")],
  alone: [directory("middle")],
  "alone/middle": [directory("end")],
  "alone/middle/end": [entry("x"), entry("y")],
};

async function openTree(path = "", listing: Listing = LISTING): Promise<Tree> {
  const tree = new Tree(listing);
  await tree.model.open(utf8(path));
  return tree;
}

test("shows directories first, then the bytes of the names decide; positions count within a directory", async () => {
  const tree = await openTree();
  expect(tree.rows).toEqual([" alone", " dir", " B.txt", " a", " b.txt"]);
  expect(tree.reads).toEqual([""]);
  const { level, position, siblings, parent, path } = tree.row("a");
  expect({ level, position, siblings, parent, path }).toEqual({
    level: 1,
    position: 4,
    siblings: 5,
    parent: undefined,
    path: utf8("a"),
  });
  expect([tree.model.busy, tree.model.fault, tree.model.active]).toEqual([false, undefined, undefined]);
});

test("reads a directory when it is expanded for the first time, and only then", async () => {
  const tree = await openTree();
  expect(await tree.model.expand(tree.row("dir"))).toBe(true);
  expect(tree.rows).toEqual([" alone", " dir", "   sub", "   one", "   two", " B.txt", " a", " b.txt"]);
  expect(tree.row("one").path).toEqual(utf8("dir/one"));
  tree.model.collapse(tree.row("dir"));
  expect(tree.rows.length).toBe(5);
  await tree.model.expand(tree.row("dir"));
  expect(tree.rows.length).toBe(8);
  expect(tree.reads).toEqual(["", "dir"]);
});

test("what was expanded stays so within a directory that is collapsed and expanded again", async () => {
  const tree = await openTree();
  await tree.model.expand(tree.row("dir"));
  await tree.model.expand(tree.row("sub"));
  tree.model.collapse(tree.row("dir"));
  await tree.model.expand(tree.row("dir"));
  expect(tree.rows).toContain("     deep");
});

test("expands a chain of directories that hold only one entry, at most 16 levels at once", async () => {
  const tree = await openTree();
  await tree.model.expand(tree.row("alone"));
  expect(tree.rows.slice(0, 5)).toEqual([" alone", "   middle", "     end", "       x", "       y"]);

  const deep = new Tree(() => each([directory("d")]));
  await deep.model.open(utf8(""));
  expect(deep.reads.length).toBe(16);
  expect(deep.model.visible.at(-1)?.level).toBe(16);
  expect(deep.model.visible.map(({ expanded }) => expanded)).toEqual([...Array<boolean>(15).fill(true), false]);
});

test("the path of an open file expands its directories, and makes it the active row", async () => {
  const tree = await openTree("dir/sub/deep");
  expect(tree.rows).toEqual([" alone", " dir", "   sub", ">    deep", "   one", "   two", " B.txt", " a", " b.txt"]);
  expect(tree.revealed.at(-1)).toBe(3);
  await tree.model.reveal(utf8("dir"));
  expect([tree.active, tree.revealed.at(-1)]).toEqual(["dir", 1]);
});

test.each(["missing", "dir/missing", "b.txt/below", "dir/sub/deep/er"])(
  "a path that does not exist activates nothing: %s",
  async (path) => {
    const tree = await openTree(path);
    expect(tree.active).toBeUndefined();
    expect([tree.model.busy, tree.model.fault]).toEqual([false, undefined]);
  },
);

test("of two paths that are revealed at the same time, the later one becomes active", async () => {
  const slow = held<void>();
  const tree = new Tree((path) =>
    path === "dir"
      ? (async function* () {
          await slow.promise;
          yield* LISTING.dir ?? [];
        })()
      : each(LISTING[path] ?? []),
  );
  await tree.model.open(utf8(""));
  const first = tree.model.reveal(utf8("dir/one"));
  await tree.model.reveal(utf8("b.txt"));
  slow.resolve();
  await first;
  expect(tree.active).toBe("b.txt");
});

test("a root that can't be read is a fault of the tree", async () => {
  const tree = new Tree(() => failing(new StoreError("closed", "the store was closed")));
  const opening = tree.model.open(utf8(""));
  expect(tree.model.busy).toBe(true);
  await opening;
  expect(tree.model.busy).toBe(false);
  expect(tree.model.fault).toContain("Reload the page");
  expect(tree.model.press("ArrowDown", 3)).toBe(false);
});

test("a directory that can't be read stays collapsed, tells why, and can be tried again", async () => {
  let broken = true;
  const tree = new Tree((path) =>
    path === "dir" && broken ? failing(new StoreError("corrupt", "directory x is damaged")) : each(LISTING[path] ?? []),
  );
  await tree.model.open(utf8(""));
  expect(await tree.model.expand(tree.row("dir"))).toBe(false);
  expect(tree.row("dir")).toMatchObject({
    expanded: false,
    loading: false,
    fault: expect.stringContaining("Directory x is damaged"),
  });
  broken = false;
  expect(await tree.model.expand(tree.row("dir"))).toBe(true);
  expect(tree.row("dir")).toMatchObject({ expanded: true, fault: undefined });
});

test("a directory is read once, however often it is expanded meanwhile", async () => {
  const slow = held<void>();
  const tree = new Tree((path) =>
    path === "dir"
      ? (async function* () {
          await slow.promise;
          yield entry("one");
        })()
      : each(LISTING[path] ?? []),
  );
  await tree.model.open(utf8(""));
  const expanding = tree.model.expand(tree.row("dir"));
  expect(tree.row("dir")).toMatchObject({ loading: true, expanded: true });
  expect(await tree.model.expand(tree.row("dir"))).toBe(false);
  slow.resolve();
  expect(await expanding).toBe(true);
  expect(tree.reads).toEqual(["", "dir"]);
});

test("a closed tree calls its host no more, and reads no further directory", async () => {
  const slow = held<void>();
  const tree = new Tree((path) =>
    (async function* () {
      if (path === "") await slow.promise;
      yield directory("only");
    })(),
  );
  const opening = tree.model.open(utf8("only/only"));
  const { changes } = tree;
  tree.model.close();
  slow.resolve();
  await opening;
  expect([tree.changes, tree.revealed, tree.reads]).toEqual([changes, [], [""]]);
});

test("keys move by rows, pages, and to the ends, and stop there", async () => {
  const tree = await openTree();
  tree.model.enter();
  expect(tree.active).toBe("alone");
  const labels = [];
  for (const key of ["ArrowDown", "PageDown", "ArrowDown", "ArrowUp", "PageUp", "PageUp", "ArrowUp", "End", "Home"]) {
    expect(tree.model.press(key, 3)).toBe(true);
    labels.push(tree.active);
  }
  expect(labels).toEqual(["dir", "b.txt", "b.txt", "a", "alone", "alone", "alone", "b.txt", "alone"]);
  expect(tree.revealed).toEqual([1, 4, 4, 3, 0, 0, 0, 4, 0]);
});

test("without an active row, Arrow Down goes to the first one", async () => {
  const tree = await openTree();
  tree.press("ArrowDown");
  expect(tree.active).toBe("alone");
});

test("Arrow Right expands, then goes to the first child; Arrow Left collapses, then goes to the parent", async () => {
  const tree = await openTree();
  tree.press("ArrowDown", "ArrowDown", "ArrowRight");
  await expect.poll(() => tree.row("dir").children?.length).toBe(3);
  expect(tree.active).toBe("dir");
  tree.press("ArrowRight");
  expect(tree.active).toBe("sub");
  tree.press("End", "ArrowRight");
  expect(tree.active).toBe("b.txt");
  tree.press("ArrowLeft");
  expect(tree.active).toBe("b.txt");
  tree.model.choose(tree.row("two"));
  tree.press("ArrowLeft");
  expect(tree.active).toBe("dir");
  tree.press("ArrowLeft");
  expect(tree.row("dir").expanded).toBe(false);
  tree.press("ArrowLeft");
  expect(tree.active).toBe("dir");
});

test("Arrow Right stays on an empty directory", async () => {
  const tree = await openTree("", { "": [directory("empty"), entry("file")] });
  await tree.model.expand(tree.row("empty"));
  tree.press("Home", "ArrowRight");
  expect(tree.active).toBe("empty");
});

test.each(["Enter", " "])("%j opens a file or link, and expands or collapses a directory", async (key) => {
  const tree = await openTree();
  tree.press("End", key, "ArrowUp", key);
  expect(tree.chosen).toEqual(["b.txt", "a"]);
  tree.press("Home", "ArrowDown", key);
  await expect.poll(() => tree.row("dir").children?.length).toBe(3);
  tree.press(key);
  expect(tree.row("dir").expanded).toBe(false);
  expect(tree.chosen.length).toBe(2);
});

test("an asterisk expands all directories beside the active row", async () => {
  const tree = await openTree();
  tree.press("End", "*");
  await expect.poll(() => tree.rows.length).toBe(5 + 3 + 4);
  expect(tree.active).toBe("b.txt");
});

test("typing goes to the next name that starts so; one character goes on from row to row", async () => {
  const now = vi.spyOn(performance, "now");
  try {
    now.mockReturnValue(5000);
    const tree = await openTree("", { "": ["bar", "baz", "bit", "Bz"].map((name) => entry(name)) });
    const type = (character: string, later: number): string | undefined => {
      now.mockReturnValue(performance.now() + later);
      expect(tree.model.press(character, 3)).toBe(true);
      return tree.active;
    };
    expect(type("b", 5000)).toBe("Bz");
    expect(type("b", 2000)).toBe("bar");
    expect(type("b", 2000)).toBe("baz");
    expect(type("I", 100)).toBe("bit");
    expect(type("b", 2000)).toBe("Bz");
    expect(type("z", 100)).toBe("Bz");
    expect(type("?", 2000)).toBe("Bz");
    expect(tree.model.press("Escape", 3)).toBe(false);
    expect(tree.model.press("Tab", 3)).toBe(false);
  } finally {
    now.mockRestore();
  }
});

test("names of any bytes are found by their bytes, and shown with escapes", async () => {
  const invalid = concatBytes([utf8("x"), new Uint8Array([0xff, 0xfe])]);
  const rtl = "access\u202etxt.exe";
  const tree = new Tree((path) => each(path === "" ? [directory(invalid), entry(rtl), entry("a\nb\u0000")] : [entry("in")]));
  await tree.model.open(concatBytes([invalid, utf8("/in")]));
  expect(tree.model.visible.map(({ label }) => label)).toEqual(["x\\xff\\xfe", "in", "a\\u{a}b\\u{0}", "access\\u{202e}txt.exe"]);
  expect(tree.active).toBe("in");
  expect(tree.row("in").path).toEqual(concatBytes([invalid, utf8("/in")]));
});
