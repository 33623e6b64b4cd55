import { mkdirSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createMemoryStore } from "../../src/backends/memory.ts";
import { copyPaths } from "../../src/node/copy-paths.ts";
import { fsEntries } from "../../src/node/fs-entries.ts";
import { NodeHashEngine } from "../../src/node/node-hash-engine.ts";
import type { PathGraphEntry } from "../../src/node/path-graph.ts";
import { importEntries } from "../../src/store/import.ts";
import type { PathInfo } from "../../src/store/path-info.ts";
import type { StoreServices } from "../../src/store/services.ts";

const engine = new NodeHashEngine();
const A = `/nix/store/${"a".repeat(32)}-a`;
const B = `/nix/store/${"b".repeat(32)}-b`;

let root: string;
let content: PathInfo;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "tvix-copy-"));
  for (const path of [A, B]) {
    mkdirSync(join(root, path), { recursive: true });
    writeFileSync(join(root, path, "file"), "content");
  }
  const entries = (uploader: Parameters<typeof fsEntries>[1]) => fsEntries(join(root, A), uploader);
  content = await importEntries(createMemoryStore(), engine, entries, { name: "any" });
});
afterEach(() => rm(root, { recursive: true, force: true }));

function entry(storePath: string, references: string[] = [], more: Partial<PathGraphEntry> = {}): PathGraphEntry {
  const { narHash, narSize } = content;
  return { storePath, narHash, narSize, references, signatures: [], ...more };
}

async function copyAll(store: StoreServices, graph: PathGraphEntry[]): Promise<PathInfo[]> {
  const infos: PathInfo[] = [];
  for await (const info of copyPaths(store, engine, graph, { root })) infos.push(info);
  return infos;
}

test("registers the path infos of the graph", async () => {
  const store = createMemoryStore();
  const deriver = `/nix/store/${"c".repeat(32)}-a.drv`;
  const signature = `key:${btoa("s".repeat(64))}`;
  await copyAll(store, [entry(B), entry(A, [B, A], { deriver, signatures: [signature] })]);
  expect(await store.pathInfos.get("a".repeat(32))).toMatchObject({
    storePath: A,
    node: content.node,
    references: [A.slice(11), B.slice(11)],
    deriver: deriver.slice(11),
    signatures: [signature],
  });
  // The second import needs no files and keeps the path infos.
  await rm(join(root, "nix"), { recursive: true });
  expect(await copyAll(store, [entry(A, [B, A])])).toMatchObject([{ signatures: [signature] }]);
});

test("refuses files that do not match the graph", async () => {
  const store = createMemoryStore();
  await expect(copyAll(store, [entry(A, [], { narSize: content.narSize + 8 })])).rejects.toMatchObject({ code: "corrupt" });
  writeFileSync(join(root, A, "file"), "CONTENT");
  await expect(copyAll(store, [entry(A)])).rejects.toMatchObject({ code: "corrupt" });
  await expect(copyAll(store, [entry(A, [B])])).rejects.toMatchObject({ code: "not-found" });
  await expect(copyAll(store, [entry(B, [], { ca: content.ca })])).rejects.toMatchObject({ code: "corrupt" });
  await rm(join(root, A), { recursive: true });
  await expect(copyAll(store, [entry(A)])).rejects.toMatchObject({ code: "not-found" });
  for await (const info of store.pathInfos.list()) expect.fail(info.storePath);
});
