import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { utf8 } from "../bytes.ts";
import { type Digest, digestOf, EMPTY_DIGEST } from "../castore/digest.ts";
import { type Directory, type DirectorySizeRule, makeDirectory } from "../castore/directory.ts";
import { RootToLeavesValidator } from "../castore/directory-closure.ts";
import { directoryDigest, directoryNode } from "../castore/directory-codec.ts";
import type { DirectoryService } from "../castore/directory-service.ts";
import type { Node } from "../castore/node.ts";
import type { SuiteBackend, WritableServices } from "./suite-backend.ts";

function directory(entries: Record<string, Node>): Directory {
  return makeDirectory(Object.entries(entries).map(([name, node]) => ({ name: utf8(name), node })));
}

function file(content: string): Node {
  return { kind: "file", digest: digestOf(utf8(content)), size: BigInt(content.length), executable: false };
}

/** Creates a tree of three levels that contains one directory twice. Leaves come first. */
function tree(label: string, rule: DirectorySizeRule): Directory[] {
  const leaf = directory({ [`leaf of ${label}`]: file(label), link: { kind: "symlink", target: utf8("elsewhere") } });
  const middle = directory({ one: directoryNode(leaf, rule), two: directoryNode(leaf, rule), file: file("x") });
  const root = directory({
    again: directoryNode(leaf, rule),
    middle: directoryNode(middle, rule),
    empty: directoryNode({ entries: [] }, rule),
  });
  return [{ entries: [] }, leaf, middle, root];
}

/** Tests the rules of `DirectoryService`, for any backend. */
export function directoryServiceSuite(backend: SuiteBackend): void {
  describe(`DirectoryService: ${backend.name}`, () => {
    let directories: DirectoryService;
    let fill: WritableServices["directories"];
    let close: () => Promise<void>;

    beforeAll(async () => {
      const opened = await backend.open();
      directories = opened.store.directories;
      fill = (opened.fill ?? opened.store).directories;
      close = opened.close;
    });
    afterAll(() => close());

    async function closure(digest: Digest): Promise<Directory[] | undefined> {
      const answer = await directories.getClosure(digest);
      if (!answer) return undefined;
      const all: Directory[] = [];
      for await (const one of answer) all.push(one);
      return all;
    }

    test("the empty directory is always there", async () => {
      expect(await directories.get(EMPTY_DIGEST)).toEqual({ entries: [] });
      expect(await closure(EMPTY_DIGEST)).toEqual([{ entries: [] }]);
    });

    test("what is missing is undefined", async () => {
      const missing = digestOf(utf8("nobody wrote this"));
      expect(await directories.get(missing)).toBeUndefined();
      expect(await directories.getClosure(missing)).toBeUndefined();
    });

    test.each<DirectorySizeRule>(["documented", "doubled"])("keeps a closure as it was sent: %s sizes", async (rule) => {
      const sent = tree(`a ${rule} tree`, rule);
      const root = sent.at(-1) as Directory;
      const digest = await fill.put(sent);
      expect(digest).toEqual(directoryDigest(root));
      for (const one of sent) expect(await directories.get(directoryDigest(one))).toEqual(one);
      const validator = new RootToLeavesValidator(digest, [rule]);
      for (const one of (await closure(digest)) ?? []) validator.add(one);
      validator.finish();
    });

    test("a single directory is a closure", async () => {
      const one = directory({ alone: file("alone") });
      expect(await fill.put([one])).toEqual(directoryDigest(one));
      expect(await closure(directoryDigest(one))).toEqual([one]);
    });

    test("takes a stream, and ignores what comes again", async () => {
      const [empty, leaf, middle, root] = tree("repeated", "documented") as [Directory, Directory, Directory, Directory];
      const stream = async function* () {
        yield* [leaf, empty, leaf, middle, empty, root];
      };
      expect(await fill.put(stream())).toEqual(directoryDigest(root));
    });

    test("says which size rules it accepts, and accepts them", async () => {
      const rules = await fill.sizeRules();
      expect(rules.length).toBeGreaterThan(0);
      for (const rule of rules) {
        const sent = tree(`a rule that is accepted: ${rule}`, rule);
        expect(await fill.put(sent)).toEqual(directoryDigest(sent.at(-1) as Directory));
      }
    });

    test("deep and wide", async () => {
      const sent: Directory[] = [];
      let node: Node = file("bottom");
      for (let level = 0; level < 200; level++) {
        const next = directory({ [`level ${level}`]: node });
        sent.push(next);
        node = directoryNode(next, "documented");
      }
      const leaves = Array.from({ length: 1500 }, (_, i) => directory({ [`unique ${i}`]: file(String(i)) }));
      const wide = directory(
        Object.fromEntries([["deep", node], ...leaves.map((leaf, i) => [`d${i}`, directoryNode(leaf, "documented")])]),
      );
      const digest = await fill.put([...sent, ...leaves, wide]);
      const validator = new RootToLeavesValidator(digest);
      let count = 0;
      for (const one of (await closure(digest)) ?? []) {
        validator.add(one);
        count++;
      }
      validator.finish();
      expect(count).toBe(1701);
    });

    const [, leaf, middle, root] = tree("broken", "documented") as [Directory, Directory, Directory, Directory];
    const stranger = directory({ stranger: file("stranger") });
    const wrongSize = directory({ child: { ...directoryNode(leaf, "documented"), size: 77n } });
    const mixedInner = directory({ leaf: directoryNode(leaf, "doubled"), mixed: file("mixed") });
    const mixed = directory({ a: directoryNode(mixedInner, "doubled"), b: directoryNode(middle, "documented") });
    test.each<[string, Directory[], Directory | undefined]>([
      ["nothing", [], undefined],
      ["a child that was not sent", [middle], middle],
      ["a child after its parent", [leaf, root, middle], root],
      ["a directory that can't be reached", [leaf, stranger, middle], middle],
      ["something after the root", [leaf, middle, stranger], stranger],
      ["a root that is referred to", [leaf, middle, leaf], undefined],
      ["a wrong size", [leaf, wrongSize], wrongSize],
      ["both size rules in one stream", [leaf, mixedInner, middle, mixed], mixed],
    ])("refuses %s, and the root does not show", async (_, sent, hidden) => {
      await expect(fill.put(sent)).rejects.toMatchObject({ name: "StoreError", code: "invalid" });
      if (hidden) expect(await directories.get(directoryDigest(hidden))).toBeUndefined();
    });

    test("an error of the source comes out, and the root does not show", async () => {
      const one = directory({ "from a source that fails": file("1") });
      const failure = new Error("source failed");
      const source = async function* () {
        yield one;
        throw failure;
      };
      await expect(fill.put(source())).rejects.toBe(failure);
      expect(await directories.get(directoryDigest(one))).toBeUndefined();
    });

    if (backend.readOnly)
      test("refuses every write", async () => {
        const one = directory({ refused: file("refused") });
        await expect(directories.put([one])).rejects.toMatchObject({ name: "StoreError", code: "denied" });
        expect(await directories.get(directoryDigest(one))).toBeUndefined();
      });

    test("a signal that was given rejects with its reason", async () => {
      const reason = new Error("enough");
      const signal = AbortSignal.abort(reason);
      await expect(directories.get(EMPTY_DIGEST, { signal })).rejects.toBe(reason);
      await expect(directories.getClosure(EMPTY_DIGEST, { signal })).rejects.toBe(reason);
      await expect(fill.put([directory({ aborted: file("") })], { signal })).rejects.toBe(reason);
    });
  });
}
