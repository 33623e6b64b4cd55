import { execFileSync } from "node:child_process";
import { expect, test, vi } from "vitest";
import { MemoryObjectStore } from "../../../src/backends/memory-objects.ts";
import { concatBytes, fromBase64, toHex, utf8 } from "../../../src/bytes.ts";
import { asDigest, type Digest, digestOf } from "../../../src/castore/digest.ts";
import { childDirectories, type Directory, makeDirectory } from "../../../src/castore/directory.ts";
import { directoryDigest, directoryNode, encodeDirectory } from "../../../src/castore/directory-codec.ts";
import type { Node } from "../../../src/castore/node.ts";
import { InlineHashEngine } from "../../../src/hash/inline-engine.ts";
import { ClosureDirectoryService } from "../../../src/node/objects/closure-directories.ts";
import { objectCastore } from "../../../src/node/objects/object-castore.ts";
import { objectKey } from "../../../src/node/objects/object-layout.ts";
import { SNIX_TREES } from "../../peers/snix-vectors.ts";

/** Runs the program `zstd`. From standard input, it doesn't write the size of the content. */
function zstd(flags: readonly string[], input: Uint8Array): Uint8Array {
  return new Uint8Array(execFileSync("zstd", ["-q", "-c", ...flags], { input, maxBuffer: 256 * 1024 * 1024 }));
}

/** Encodes a closure by hand: before each message its length, as a big-endian number. */
function delimited(messages: readonly Uint8Array[]): Uint8Array {
  return concatBytes(messages.flatMap((bytes) => [Buffer.from(bytes.length.toString(16).padStart(8, "0"), "hex"), bytes]));
}

function keyOf(root: Digest): string {
  const hex = toHex(root);
  return `dirs/b3/${hex.slice(0, 4)}/${hex}`;
}

function directory(entries: Record<string, Node>): Directory {
  return makeDirectory(Object.entries(entries).map(([name, node]) => ({ name: utf8(name), node })));
}

const node = (of: Directory) => directoryNode(of, "documented");
const leaf = directory({ file: { kind: "file", digest: digestOf(utf8("content")), size: 7n, executable: false } });
const middle = directory({ leaf: node(leaf), link: { kind: "symlink", target: utf8("leaf") } });
const root = directory({ again: node(leaf), empty: node({ entries: [] }), middle: node(middle) });
/** Leaves first. */
const TREE = [{ entries: [] }, leaf, middle, root];
const ROOT = directoryDigest(root);

/** Returns a service on one object for the tree's root. */
function serviceOn(object: Uint8Array) {
  const objects = new MemoryObjectStore();
  objects.objects.set(keyOf(ROOT), object);
  return new ClosureDirectoryService(objects);
}

async function closure(service: ClosureDirectoryService, digest: Digest): Promise<Directory[] | undefined> {
  const all: Directory[] = [];
  const directories = await service.getClosure(digest);
  if (!directories) return undefined;
  for await (const one of directories) all.push(one);
  return all;
}

/** Orders a closure leaves first, as `put` takes it. */
function leavesFirst(directories: readonly Directory[], digest: Digest): Directory[] {
  const byDigest = new Map(directories.map((one) => [toHex(directoryDigest(one)), one]));
  const ordered = new Set<Directory>();
  const visit = (one: Digest): void => {
    const found = byDigest.get(toHex(one)) as Directory;
    for (const child of childDirectories(found)) visit(child.digest);
    ordered.add(found);
  };
  visit(digest);
  return [...ordered];
}

test.each(SNIX_TREES)("reads a closure of snix's messages, compressed by zstd: $name", async ({ rootDigest, directories }) => {
  const digest = asDigest(fromBase64(rootDigest));
  const messages = directories.map(fromBase64);
  const objects = new MemoryObjectStore();
  objects.objects.set(keyOf(digest), zstd([], delimited(messages)));
  const read = (await closure(new ClosureDirectoryService(objects), digest)) ?? [];
  expect(read.map((one) => toHex(encodeDirectory(one))).sort()).toEqual(messages.map(toHex).sort());
  expect(directoryDigest(read[0] as Directory)).toEqual(digest);
  expect(await new ClosureDirectoryService(objects).get(digest)).toEqual(read[0]);
});

test.each(SNIX_TREES)("writes the messages of snix, root first, in one object: $name", async ({ rootDigest, directories }) => {
  const digest = asDigest(fromBase64(rootDigest));
  const objects = new MemoryObjectStore();
  objects.objects.set(keyOf(digest), zstd([], delimited(directories.map(fromBase64))));
  const read = (await closure(new ClosureDirectoryService(objects), digest)) ?? [];

  const sent = leavesFirst(read, digest);
  const written = new MemoryObjectStore();
  expect(await new ClosureDirectoryService(written).put(sent)).toEqual(digest);
  expect([...written.objects.keys()]).toEqual([keyOf(digest)]);
  const object = written.objects.get(keyOf(digest)) as Uint8Array;
  expect(Buffer.from(zstd(["-d"], object)).equals(delimited(sent.reverse().map(encodeDirectory)))).toBe(true);
});

test("the key is that of the layout", () => {
  expect(objectKey("dirs", ROOT)).toBe(keyOf(ROOT));
});

test("finds a directory beneath a root after the directory above was read", async () => {
  const objects = new MemoryObjectStore();
  await new ClosureDirectoryService(objects).put(TREE);
  const service = new ClosureDirectoryService(objects);
  expect(await service.get(directoryDigest(middle))).toBeUndefined();
  expect(await service.getClosure(directoryDigest(middle))).toBeUndefined();
  const walk: Directory[] = [];
  const waiting = [ROOT];
  for (let digest = waiting.pop(); digest; digest = waiting.pop()) {
    const found = (await service.get(digest)) as Directory;
    walk.push(found);
    waiting.push(...childDirectories(found).map((child) => child.digest));
  }
  expect(walk).toEqual([root, middle, leaf, { entries: [] }, leaf]);
  expect(await closure(service, directoryDigest(middle))).toEqual([middle, leaf]);
});

test("finds a directory beneath a root after the closure was read", async () => {
  const objects = new MemoryObjectStore();
  await new ClosureDirectoryService(objects).put(TREE);
  const service = new ClosureDirectoryService(objects);
  await closure(service, ROOT);
  expect(await service.get(directoryDigest(leaf))).toEqual(leaf);
});

test("reads an object once for concurrent calls, and for the directories beneath", async () => {
  const objects = new MemoryObjectStore();
  await new ClosureDirectoryService(objects).put(TREE);
  const get = vi.spyOn(objects, "get");
  const service = new ClosureDirectoryService(objects);
  await Promise.all([service.get(ROOT), closure(service, ROOT), service.get(ROOT)]);
  await Promise.all(TREE.map((one) => service.get(directoryDigest(one))));
  expect(get).toHaveBeenCalledOnce();
});

test("a call that is aborted doesn't end the others", async () => {
  const objects = new MemoryObjectStore();
  await new ClosureDirectoryService(objects).put(TREE);
  const service = new ClosureDirectoryService(objects);
  const aborting = new AbortController();
  const [aborted, other] = [service.get(ROOT, { signal: aborting.signal }), service.get(ROOT)];
  aborting.abort(new Error("enough"));
  await expect(aborted).rejects.toBe(aborting.signal.reason);
  expect(await other).toEqual(root);
});

test("leaves the object of a closure that is put again", async () => {
  const objects = new MemoryObjectStore();
  const service = new ClosureDirectoryService(objects);
  await service.put(TREE);
  const first = objects.objects.get(keyOf(ROOT));
  await service.put(TREE);
  expect(objects.objects.get(keyOf(ROOT))).toBe(first);
});

test("writes a closure after all blobs that were put before", async () => {
  const objects = new MemoryObjectStore();
  const { blobs, directories, close } = objectCastore("test", objects, new InlineHashEngine());
  await blobs.putMany([utf8("content")]);
  expect(objects.objects.size).toBe(0);
  await directories.put([leaf]);
  expect([...objects.objects.keys()].map((key) => key.split("/")[0])).toEqual(["chunks", "blobs", "dirs"]);
  await close();
});

const messages = TREE.map(encodeDirectory).reverse();
const [rootMessage, middleMessage, leafMessage, emptyMessage] = messages as [Uint8Array, Uint8Array, Uint8Array, Uint8Array];
const wrongSize = directory({ middle: { ...node(middle), size: 77n } });

test.each<[string, Uint8Array]>([
  ["nothing", new Uint8Array(0)],
  ["no zstd", utf8("not compressed at all")],
  ["an empty closure", zstd([], new Uint8Array(0))],
  ["an object that is cut short", zstd([], delimited(messages)).subarray(0, 40)],
  ["a length that is cut short", zstd([], concatBytes([delimited(messages), Uint8Array.of(0, 0, 0)]))],
  ["a length beyond the end", zstd([], concatBytes([delimited(messages), Uint8Array.of(0xff, 0xff, 0xff, 0xff)]))],
  ["another root", zstd([], delimited([middleMessage, leafMessage]))],
  ["a root that is no directory", zstd([], delimited([utf8("no directory"), ...messages.slice(1)]))],
  ["more than 64 MiB", zstd([], new Uint8Array(64 * 1024 * 1024 + 4))],
  ["more than 262,144 directories", zstd([], new Uint8Array((256 * 1024 + 1) * 4))],
])("refuses %s as corrupt", async (_, object) => {
  const service = serviceOn(object);
  const corrupt = { name: "StoreError", code: "corrupt" };
  await expect(service.get(ROOT)).rejects.toMatchObject(corrupt);
  await expect(closure(service, ROOT)).rejects.toMatchObject(corrupt);
  // Who puts the closure again repairs it.
  await service.put(TREE);
  expect(await closure(service, ROOT)).toEqual(await closure(serviceOn(zstd([], delimited(messages))), ROOT));
});

test("keeps an intact closure that another program has written, and replaces one with a gap", async () => {
  const objects = new MemoryObjectStore();
  const service = new ClosureDirectoryService(objects);
  const others = zstd(
    [],
    concatBytes([
      delimited(messages),
      delimited([encodeDirectory(directory({ stranger: { kind: "symlink", target: utf8("t") } }))]),
    ]),
  );
  objects.objects.set(keyOf(ROOT), others);
  await service.put(TREE);
  expect(objects.objects.get(keyOf(ROOT))).toBe(others);
  objects.objects.set(keyOf(ROOT), zstd([], delimited(messages.slice(0, -1))));
  await service.put(TREE);
  expect(await closure(service, ROOT)).toHaveLength(messages.length);
});

test("reports a gap as missing", async () => {
  const service = serviceOn(zstd([], delimited([rootMessage, middleMessage, emptyMessage])));
  expect(await service.get(ROOT)).toEqual(root);
  expect(await service.get(directoryDigest(leaf))).toBeUndefined();
  await expect(closure(service, ROOT)).rejects.toMatchObject({ code: "not-found" });
});

test("finds messages in any order after the root, and ignores strangers", async () => {
  const stranger = encodeDirectory(directory({ stranger: { kind: "symlink", target: utf8("x") } }));
  const service = serviceOn(zstd([], delimited([rootMessage, stranger, leafMessage, emptyMessage, middleMessage])));
  expect(new Set(await closure(service, ROOT))).toEqual(new Set(TREE));
});

test("refuses wrong sizes", async () => {
  const objects = new MemoryObjectStore();
  const digest = directoryDigest(wrongSize);
  objects.objects.set(keyOf(digest), zstd([], delimited([encodeDirectory(wrongSize), middleMessage, leafMessage])));
  await expect(closure(new ClosureDirectoryService(objects), digest)).rejects.toMatchObject({ code: "corrupt" });
});

test("refuses to write a closure that it could not read", async () => {
  const file = { kind: "file", digest: digestOf(utf8("x")), size: 1n, executable: false } as const;
  const names = Array.from({ length: 500 }, (_, i) => `${i}`.padStart(255, "0"));
  const large = function* (): Generator<Directory> {
    for (let i = 0; ; i++) yield directory({ ...Object.fromEntries(names.map((name) => [name, file])), [`unique ${i}`]: file });
  };
  const objects = new MemoryObjectStore();
  await expect(new ClosureDirectoryService(objects).put(large())).rejects.toMatchObject({ code: "invalid" });
  expect(objects.objects.size).toBe(0);
});
