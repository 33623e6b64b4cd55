import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { StoredChunk } from "../../src/castore/chunk-store.ts";
import { digestOf } from "../../src/castore/digest.ts";
import { StoreError } from "../../src/error.ts";
import { LmdbEnvironment } from "../../src/node/lmdb.ts";
import { FileObjectStore } from "../../src/node/objects/file-object-store.ts";
import { JournalDrain } from "../../src/node/objects/journal-drain.ts";
import { ObjectJournal } from "../../src/node/objects/object-journal.ts";
import { KEY_ORDER, objectKey } from "../../src/node/objects/object-layout.ts";
import { FileChunkStore } from "./file-chunk-store.ts";

let root: string;
let environment: LmdbEnvironment;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "tvix-object-journal-"));
  environment = await LmdbEnvironment.open(join(root, "store.lmdb"));
});
afterEach(async () => {
  vi.restoreAllMocks();
  vi.useRealTimers();
  await environment.close();
  await rm(root, { recursive: true, force: true });
});

function chunkOf(text: string): StoredChunk {
  const bytes = new TextEncoder().encode(text);
  return { digest: digestOf(bytes), bytes };
}
const pathOf = ({ digest }: StoredChunk) => objectKey("chunks", digest);
const isFile = (chunk: StoredChunk) => existsSync(join(root, pathOf(chunk)));

async function open() {
  const journal = new ObjectJournal(environment, KEY_ORDER);
  return { journal, store: await FileChunkStore.open(root, { exclusive: true, journal }) };
}

/** Puts one blob of one chunk. */
function put(store: FileChunkStore, chunk: StoredChunk): Promise<void> {
  return store.put([chunk], [{ digest: chunk.digest, chunks: [] }]);
}

/** Makes a journal with some chunks and their blobs, and the files that they go to. */
async function filled(count: number) {
  const journal = new ObjectJournal(environment, KEY_ORDER);
  const [chunks, blobs] = [new Map<string, Uint8Array>(), new Map<string, Uint8Array>()];
  for (let i = 0; i < count; i++) {
    const { digest, bytes } = chunkOf(`${i}`);
    chunks.set(objectKey("chunks", digest), bytes);
    blobs.set(objectKey("blobs", digest), new Uint8Array());
  }
  await journal.add([chunks, blobs]);
  return { journal, chunks, files: await FileObjectStore.open(root, { exclusive: true }) };
}

test("small objects are in the journal after a flush, and the next process finds them there", async () => {
  const { store, journal } = await open();
  const chunk = chunkOf("small");
  await put(store, chunk);
  expect(journal.count).toBe(0);
  await store.flush();
  expect(journal.count).toBe(2);
  expect(isFile(chunk)).toBe(false);

  const again = await open();
  expect(again.journal).toMatchObject({ count: 2, bytes: journal.bytes });
  expect(await again.store.getChunks([chunk.digest])).toEqual([chunk.bytes]);
  expect(await again.store.hasChunks([chunk.digest])).toEqual([true]);
  expect(await again.store.getBlobs([chunk.digest])).toEqual([{ chunks: [] }]);
  await again.store.close();
  expect(again.journal).toMatchObject({ count: 0, bytes: 0 });
  expect(isFile(chunk)).toBe(true);
  expect(await readFile(join(root, objectKey("blobs", chunk.digest)))).toHaveLength(0);
});

test("no object is put into the journal twice", async () => {
  const { store, journal } = await open();
  for (let i = 0; i < 3; i++) {
    await put(store, chunkOf("once"));
    await store.flush();
  }
  expect(journal.count).toBe(2);
  await store.close();
  expect(journal.count).toBe(0);
});

test("objects that are put concurrently are counted once", async () => {
  const { store, journal } = await open();
  const chunks = Array.from({ length: 300 }, (_, i) => chunkOf(`${i}`));
  const putAll = async (): Promise<void> => {
    for (let i = 0; i < 3; i++) {
      await store.put(
        chunks,
        chunks.map(({ digest }) => ({ digest, chunks: [] })),
      );
      await store.flush();
    }
  };
  await Promise.all(Array.from({ length: 6 }, putAll));
  expect(journal.count).toBe(600);
  expect(new ObjectJournal(environment, KEY_ORDER)).toMatchObject({ count: 600, bytes: journal.bytes });
  await store.close();
  expect(journal).toMatchObject({ count: 0, bytes: 0 });
});

test("large objects go to their files at once", async () => {
  const { store, journal } = await open();
  const chunks = Array.from({ length: 20 }, () => {
    const bytes = crypto.getRandomValues(new Uint8Array(60_000));
    return { digest: digestOf(bytes), bytes };
  });
  await store.put(chunks, []);
  await store.order();
  expect(journal.count).toBe(0);
  expect(chunks.every(isFile)).toBe(true);
  await store.close();
});

test("a record that is written after `order` never precedes the objects that were put before", async () => {
  const { store, journal } = await open();
  const records = environment.records("test");
  await put(store, chunkOf("before"));
  await store.order();
  await records.put(new Map([["name", "its digest"]]));
  // One transaction writes both.
  expect(journal.count).toBe(2);
  await store.flush();
  await store.close();
});

test("objects become files when no new object has come for a second", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  const { store, journal } = await open();
  const [one, two] = [chunkOf("one"), chunkOf("two")];
  await put(store, one);
  await store.flush();
  await vi.advanceTimersByTimeAsync(900);
  await put(store, two);
  await store.flush();
  await vi.advanceTimersByTimeAsync(900);
  expect(journal.count).toBe(4);
  await vi.advanceTimersByTimeAsync(100);
  // Chunks become files first, then blobs.
  await vi.waitFor(async () => {
    await vi.advanceTimersByTimeAsync(0);
    expect(journal.count).toBe(0);
  });
  expect([one, two].map(isFile)).toEqual([true, true]);
  expect(await store.getChunks([one.digest, two.digest])).toEqual([one.bytes, two.bytes]);
  await store.close();
});

test("the entry of a blob becomes a file after all chunks", async () => {
  const { journal, files } = await filled(3);
  for (const [some, size] of [
    [journal.some(2, 100), 2],
    [journal.some(100, 1), 1],
    [journal.some(100, 100), 3],
  ] as const) {
    expect(some.size).toBe(size);
    expect([...some.keys()].every((key) => key.startsWith("chunks/"))).toBe(true);
  }
  const written: string[][] = [];
  const putMany = files.putMany.bind(files);
  vi.spyOn(files, "putMany").mockImplementation(async (groups) => {
    written.push(...groups.map((objects) => [...objects.keys()].map((path) => path.slice(0, 6))));
    await putMany(groups);
  });
  await new JournalDrain(journal, files).close();
  expect(written.filter((paths) => paths.length > 0)).toEqual([Array(3).fill("chunks"), Array(3).fill("blobs/")]);
});

test("a caller waits while the journal is full", async () => {
  const { journal, files } = await filled(3);
  const drain = new JournalDrain(journal, files, { bytes: 1_000_000, count: 5 });
  await drain.makeRoom();
  expect(journal.count).toBeLessThanOrEqual(5);
  expect(await readdir(join(root, "chunks/b3"))).toHaveLength(3);
  await drain.close();
});

test("objects stay in the journal while files can't be written, and waiting callers get the error", async () => {
  const { journal, files, chunks } = await filled(3);
  const full = vi.spyOn(files, "putMany").mockRejectedValue(new StoreError("quota", "the disk is full"));
  const drain = new JournalDrain(journal, files, { bytes: 1_000_000, count: 5 });
  await expect(drain.makeRoom()).rejects.toMatchObject({ code: "quota" });
  await expect(drain.close()).rejects.toMatchObject({ code: "quota" });
  expect(journal.count).toBe(6);
  expect([...chunks.keys()].every((path) => journal.has(path))).toBe(true);
  full.mockRestore();
  await drain.close();
  expect(journal.count).toBe(0);
});
