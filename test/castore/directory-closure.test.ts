import { describe, expect, test } from "vitest";
import { utf8 } from "../../src/bytes.ts";
import { type Directory, type DirectorySizeRule, makeDirectory, SIZE_RULES } from "../../src/castore/directory.ts";
import { LeavesToRootValidator, RootToLeavesValidator } from "../../src/castore/directory-closure.ts";
import { directoryDigest, directoryNode } from "../../src/castore/directory-codec.ts";
import type { Node } from "../../src/castore/node.ts";

const error = (code: string) => expect.objectContaining({ name: "StoreError", code });

function directory(entries: Record<string, Node>): Directory {
  return makeDirectory(Object.entries(entries).map(([name, node]) => ({ name: utf8(name), node })));
}

const to = (child: Directory, rule: DirectorySizeRule = "documented"): Node => directoryNode(child, rule);
const sized = (child: Directory, size: bigint): Node => ({ kind: "directory", digest: directoryDigest(child), size });

const LINK: Node = { kind: "symlink", target: utf8("x") };
const EMPTY: Directory = { entries: [] };
const LEAF = directory({ leaf: LINK });
const OTHER = directory({ other: LINK });
/** Both rules give this directory its own size, and a digest of its own to its parent. */
const inner = (rule: DirectorySizeRule): Directory => directory({ leaf: to(LEAF, rule), empty: to(EMPTY, rule) });
const root = (rule: DirectorySizeRule): Directory => directory({ again: to(LEAF, rule), inner: to(inner(rule), rule) });
const BROKEN: Directory = { entries: [...OTHER.entries, ...LEAF.entries] };

describe("leaves to root", () => {
  function send(directories: readonly Directory[], rules?: readonly DirectorySizeRule[]): LeavesToRootValidator {
    const validator = new LeavesToRootValidator(rules);
    for (const one of directories) validator.add(one);
    return validator;
  }

  test.each(SIZE_RULES)("a tree by the rule %s is accepted, and tells its rule", (rule) => {
    const validator = send([LEAF, EMPTY, inner(rule), root(rule)]);
    expect(validator.finish()).toEqual(directoryDigest(root(rule)));
    expect(validator.rules).toEqual([rule]);
    expect(() =>
      send(
        [LEAF, EMPTY, inner(rule)],
        SIZE_RULES.filter((other) => other !== rule),
      ),
    ).toThrow(error("invalid"));
  });

  test("a tree whose child directories are empty leaves both rules", () => {
    const validator = send([EMPTY, directory({ empty: to(EMPTY), link: LINK })]);
    validator.finish();
    expect(validator.rules).toEqual(SIZE_RULES);
  });

  test("each directory gets its digest, and is new once", () => {
    const validator = new LeavesToRootValidator();
    expect(validator.add(LEAF)).toEqual({ digest: directoryDigest(LEAF), first: true });
    expect(validator.add(LEAF)).toEqual({ digest: directoryDigest(LEAF), first: false });
    expect(validator.finish()).toEqual(directoryDigest(LEAF));
  });

  test("a directory that comes again is the last one", () => {
    const top = directory({ leaf: to(LEAF) });
    expect(send([LEAF, top, top]).finish()).toEqual(directoryDigest(top));
    expect(() => send([LEAF, top, LEAF]).finish()).toThrow(error("invalid"));
  });

  test.each<[string, Directory[]]>([
    ["a directory that breaks a rule by itself", [BROKEN]],
    ["a child that was not sent", [EMPTY, inner("documented")]],
    ["a size that no rule gives", [LEAF, directory({ leaf: sized(LEAF, 3n) })]],
    ["a size of another child", [LEAF, EMPTY, directory({ empty: sized(EMPTY, 1n), leaf: sized(LEAF, 0n) })]],
    ["two sizes of one child", [LEAF, directory({ a: sized(LEAF, 1n), b: sized(LEAF, 2n) })]],
    ["another rule in a later directory", [LEAF, directory({ a: to(LEAF, "doubled") }), directory({ b: to(LEAF) })]],
  ])("refuses %s at once", (_, sent) => {
    const validator = send(sent.slice(0, -1));
    expect(() => validator.add(sent.at(-1) as Directory)).toThrow(error("invalid"));
  });

  test.each<[string, Directory[]]>([
    ["nothing", []],
    ["a second root before the last", [OTHER, LEAF, directory({ leaf: to(LEAF) })]],
    ["a second root after it", [LEAF, directory({ leaf: to(LEAF) }), OTHER]],
  ])("refuses %s at the end", (_, sent) => {
    const validator = send(sent);
    expect(() => validator.finish()).toThrow(error("invalid"));
  });
});

describe("root to leaves", () => {
  function receive(
    asked: Directory,
    directories: readonly Directory[],
    rules?: readonly DirectorySizeRule[],
  ): RootToLeavesValidator {
    const validator = new RootToLeavesValidator(directoryDigest(asked), rules);
    for (const one of directories) expect(validator.add(one)).toEqual(directoryDigest(one));
    return validator;
  }

  test.each(SIZE_RULES)("a tree by the rule %s is accepted in any order with parents first, and tells its rule", (rule) => {
    for (const rest of [
      [inner(rule), LEAF, EMPTY],
      [LEAF, inner(rule), EMPTY],
      [inner(rule), EMPTY, LEAF],
    ]) {
      const validator = receive(root(rule), [root(rule), ...rest]);
      validator.finish();
      expect(validator.rules).toEqual([rule]);
    }
    const other = SIZE_RULES.filter((candidate) => candidate !== rule);
    expect(() => receive(root(rule), [root(rule), LEAF], other)).toThrow(error("corrupt"));
  });

  test("a root alone leaves both rules", () => {
    const validator = receive(LEAF, [LEAF]);
    validator.finish();
    expect(validator.rules).toEqual(SIZE_RULES);
  });

  test.each<[string, Directory, Directory[], string]>([
    ["another root", LEAF, [OTHER], "corrupt"],
    ["a directory that breaks a rule by itself", BROKEN, [BROKEN], "invalid"],
    ["a directory that nothing refers to", root("documented"), [root("documented"), OTHER], "corrupt"],
    ["the root twice", LEAF, [LEAF, LEAF], "corrupt"],
    ["a child twice", root("documented"), [root("documented"), LEAF, LEAF], "corrupt"],
    ["a child before its parent", root("documented"), [LEAF], "corrupt"],
  ])("refuses %s", (_, asked, sent, code) => {
    const validator = receive(asked, sent.slice(0, -1));
    expect(() => validator.add(sent.at(-1) as Directory)).toThrow(error(code));
  });

  test("refuses a wrong size when the child comes, or when it has come", () => {
    const wrong = directory({ leaf: sized(LEAF, 3n) });
    const before = receive(wrong, [wrong]);
    expect(() => before.add(LEAF)).toThrow(error("corrupt"));
    const late = directory({ leaf: sized(LEAF, 1n), wrong: sized(wrong, 4n) });
    const after = receive(late, [late, LEAF]);
    expect(() => after.add(wrong)).toThrow(error("corrupt"));
  });

  test("refuses sizes by both rules for one child, when it comes", () => {
    const both = directory({ a: sized(LEAF, 1n), b: sized(LEAF, 2n) });
    const validator = receive(both, [both]);
    expect(() => validator.add(LEAF)).toThrow(error("corrupt"));
  });

  test("refuses a third size of one child at once, but not one size three times", () => {
    const same = directory({ a: to(LEAF), b: to(LEAF), c: to(LEAF) });
    receive(same, [same, LEAF]).finish();
    const three = directory({ a: sized(LEAF, 1n), b: sized(LEAF, 2n), c: sized(LEAF, 3n) });
    expect(() => receive(three, [three])).toThrow(error("corrupt"));
  });

  test.each<[string, Directory[]]>([
    ["the root", []],
    ["a child", [root("documented"), LEAF, inner("documented")]],
  ])("refuses an end without %s", (_, sent) => {
    const validator = receive(root("documented"), sent);
    expect(() => validator.finish()).toThrow(error("corrupt"));
  });
});
