import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { createMemoryStore } from "../../src/backends/memory.ts";
import { concatBytes, toHex, utf8 } from "../../src/bytes.ts";
import { digestOf } from "../../src/castore/digest.ts";
import type { Node } from "../../src/castore/node.ts";
import { type GitHashAlgorithm, gitHash } from "../../src/store/git-hash.ts";
import { importNar } from "../../src/store/import.ts";
import { archive, table } from "../nix/nix-2.34.ts";
import { engine, failure, importFiles, Source } from "./fixtures.ts";

test.each(table("git-ids"))("%s has the %s id that git gives it", async (nar, algorithm, id) => {
  const store = createMemoryStore();
  const { node } = await importNar(store, engine, new Source(archive(nar as string)), { name: "x" });
  expect(toHex(await gitHash(store, engine, node, algorithm as GitHashAlgorithm))).toBe(id);
});

test("a file that is too large for a batch is hashed as a stream", async () => {
  const store = createMemoryStore();
  const content = new Uint8Array(5_000_000).map((_, i) => i % 251);
  const small = utf8("small");
  const { node } = await importFiles(store, "x", { large: content, small });
  const blob = (bytes: Uint8Array) => createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest();
  const body = concatBytes([utf8("100644 large\0"), blob(content), utf8("100644 small\0"), blob(small)]);
  const tree = createHash("sha1").update(`tree ${body.length}\0`).update(body).digest("hex");
  expect(toHex(await gitHash(store, engine, node, "sha1"))).toBe(tree);
});

test("a deep tree needs no call stack", async () => {
  const store = createMemoryStore();
  const { node } = await importFiles(store, "x", { [`${"d/".repeat(1000)}leaf`]: utf8("leaf") });
  expect((await gitHash(store, engine, node, "sha256")).length).toBe(32);
});

describe("content that does not match its nodes is refused", () => {
  test.each([10, 5_000_000])("a file with %i bytes", async (length) => {
    const store = createMemoryStore();
    const content = new Uint8Array(length).fill(7);
    const [digest] = await store.blobs.putMany([content]);
    const file = (size: number): Node => ({ kind: "file", digest: digest as never, size: BigInt(size), executable: false });
    expect((await gitHash(store, engine, file(length), "sha1")).length).toBe(20);
    for (const size of [length - 1, length + 1])
      expect(await failure(gitHash(store, engine, file(size), "sha1"))).toMatchObject({ code: "corrupt" });
    const missing: Node = { kind: "file", digest: digestOf(utf8("missing")), size: BigInt(length), executable: false };
    expect(await failure(gitHash(store, engine, missing, "sha1"))).toMatchObject({ code: "not-found" });
  });

  test("a missing directory", async () => {
    const node: Node = { kind: "directory", digest: digestOf(utf8("missing")), size: 1n };
    expect(await failure(gitHash(createMemoryStore(), engine, node, "sha1"))).toMatchObject({ code: "not-found" });
  });
});

test("an abort ends the hashing", async () => {
  const store = createMemoryStore();
  const { node } = await importFiles(store, "x", { a: utf8("a"), b: utf8("b") });
  const reason = new Error("enough");
  expect(await failure(gitHash(store, engine, node, "sha1", { signal: AbortSignal.abort(reason) }))).toBe(reason);
});
