import { describe, expect, test, vi } from "vitest";
import { compareBytes, concatBytes } from "../../src/bytes.ts";
import { asDigest, type Digest, digestOf } from "../../src/castore/digest.ts";
import { StoreError } from "../../src/error.ts";
import type { PathInfo } from "../../src/store/path-info.ts";
import { decodePathInfo } from "../../src/wire/stored-messages.ts";
import { MAX_OBJECT_LENGTH } from "../../src/worker/object-table.ts";
import { readEntries } from "../../src/worker/pack-entries.ts";
import { FOOTER_LENGTH, HEADER_LENGTH } from "../../src/worker/pack-format.ts";
import { describePack } from "../../src/worker/pack-trailer.ts";
import type { IndexRecord } from "../../src/worker/packed-index.ts";
import { SessionPacks } from "../../src/worker/session-packs.ts";
import { allSettled, CHUNK, failure, type MemoryStore, memoryStore, pathInfo, symlink, text } from "./memory-store.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
const owner = {};

/** A digest for bytes that nobody compares with it. */
const digest = (number: number): Digest => digestOf(new Uint8Array(new Uint32Array([number]).buffer));

interface Session {
  readonly world: MemoryStore;
  readonly packs: SessionPacks;
  readonly failures: unknown[];
}

function session(durability: "strict" | "relaxed" = "strict", storage: "opfs" | "indexeddb" = "opfs"): Session {
  const world = memoryStore(storage);
  const failures: unknown[] = [];
  return { world, failures, packs: new SessionPacks(world.store, owner, durability, (error) => failures.push(error)) };
}

/** Appends objects of these lengths. Their digests are those of the numbers from `first` on. */
async function append({ packs }: Session, lengths: readonly number[], first = 0): Promise<void> {
  for (const [i, length] of lengths.entries()) await packs.append(CHUNK, digest(first + i), new Uint8Array(length).fill(first + i));
  await packs.settle();
}

const pack = ({ world }: Session, record: IndexRecord | undefined): Uint8Array =>
  world.opfs.files.get(record?.pack ?? "") as Uint8Array;

describe("an object", () => {
  test("that fits into the buffer costs no promise, unless it starts a pack", async () => {
    const { packs } = session();
    const started = packs.append(CHUNK, digest(0), new Uint8Array(10));
    expect(started).toBeInstanceOf(Promise);
    await started;
    expect(packs.append(CHUNK, digest(1), new Uint8Array(64 * KIB - 1))).toBeUndefined();
    expect(packs.open).toMatchObject({
      count: 2,
      bytes: 64 * KIB + 9,
      size: HEADER_LENGTH + 64 * KIB + 9,
      writer: owner,
      alive: false,
    });
  });

  test("of 64 KiB or more is written by itself, after the buffer", async () => {
    const running = session();
    await append(running, [10, 64 * KIB, 64 * KIB - 1]);
    expect(running.world.opfs.appended).toEqual([HEADER_LENGTH + 10, 64 * KIB]);
    await running.packs.flush();
    expect(running.world.opfs.appended).toEqual([HEADER_LENGTH + 10, 64 * KIB, 64 * KIB - 1]);
    await running.packs.flush();
    expect(running.world.opfs.appended).toHaveLength(3);
  });

  test("that fills the buffer exactly stays in it; the next byte flushes it", async () => {
    const running = session();
    const part = 60 * KIB;
    await append(running, [part, part, part, part, 256 * KIB - HEADER_LENGTH - 4 * part]);
    expect(running.world.opfs.appended).toEqual([]);
    await append(running, [1], 5);
    expect(running.world.opfs.appended).toEqual([256 * KIB]);
  });

  test("that follows another one in the same buffer is written together with it", async () => {
    const running = session();
    const { packs, world } = running;
    const buffer = Uint8Array.from({ length: 300 * KIB }, (_, i) => i % 251);
    const part = (from: number, to: number): Uint8Array => buffer.subarray(from * KIB, to * KIB);
    const parts = [part(0, 100), part(100, 101), part(101, 200), part(201, 299), part(200, 201), new Uint8Array(KIB)];
    for (const [i, bytes] of parts.entries()) await packs.append(CHUNK, digest(i), bytes);
    // The last parts are short. The buffer takes them, and the caller may change them afterwards.
    expect(packs.settle()).toBeUndefined();
    expect(world.opfs.appended).toEqual([HEADER_LENGTH, 200 * KIB, 98 * KIB]);
    const expected = concatBytes(parts);
    buffer.fill(0);
    await packs.end("now");
    const written = pack(running, packs.ended[0]);
    expect(compareBytes(written.subarray(HEADER_LENGTH, HEADER_LENGTH + expected.length), expected)).toBe(0);
    expect(packs.ended).toMatchObject([{ count: 6, bytes: expected.length }]);
  });

  test("is found and can be read while its pack is open", async () => {
    const running = session();
    const [short, other] = [text("short"), text("another")];
    await running.packs.append(CHUNK, short.digest, short.bytes);
    await running.packs.append(CHUNK, other.digest, other.bytes);
    await running.packs.flush();
    const location = running.world.store.table.location(1);
    expect(location).toEqual({ record: running.packs.open, kind: CHUNK, offset: HEADER_LENGTH + 5, length: 7 });
    expect(await running.packs.readOpen(location)).toEqual(other.bytes);
    await running.packs.end("now");
    expect(await running.packs.readOpen(location)).toBeUndefined();
  });

  test("that is longer than an index record can tell is refused", async () => {
    const { packs } = session();
    // Only the length matters, and such an array would take a GiB.
    const long = (length: number): Uint8Array => ({ length }) as Uint8Array;
    expect(await failure(Promise.resolve(packs.append(CHUNK, digest(0), long(MAX_OBJECT_LENGTH + 1))))).toBe("invalid");
    expect(packs.open).toBeUndefined();
  });
});

describe("a pack ends before an object that exceeds", () => {
  test("32 MiB", async () => {
    const running = session();
    const half = 16 * MIB;
    await append(running, [half, half]);
    expect(running.packs.ended).toEqual([]);
    await append(running, [1], 2);
    expect(running.packs.ended).toMatchObject([{ bytes: 32 * MIB, count: 2 }]);
    expect(running.packs.open).toMatchObject({ bytes: 1, count: 1 });
    expect(running.world.opfs.finished).toMatchObject([{ sync: "beside" }]);
  });

  test("256 Ki objects; its entries exceed the buffer", async () => {
    const running = session();
    const LIMIT = 256 * KIB;
    const empty = new Uint8Array(0);
    // Not hashes, because it would take seconds to hash so often.
    const unique = (number: number): Digest => asDigest(new Uint8Array(Uint32Array.of(number, 0, 0, 0, 0, 0, 0, 0).buffer));
    for (let i = 0; i < LIMIT; i++) await running.packs.append(CHUNK, unique(i), empty);
    expect(running.packs.ended).toEqual([]);
    await running.packs.append(CHUNK, unique(LIMIT), empty);
    expect(running.packs.ended).toMatchObject([{ count: LIMIT, trailer: LIMIT * 40 + FOOTER_LENGTH }]);
    expect(running.packs.open).toMatchObject({ count: 1 });
    await running.packs.finished();
    expect(pack(running, running.packs.ended[0])).toHaveLength(HEADER_LENGTH + LIMIT * 40 + FOOTER_LENGTH);
  });
});

describe("an ended pack", () => {
  test("has a trailer that describes it, and a record of the same size", async () => {
    const running = session();
    const objects = [text("first"), text("second")];
    for (const { digest, bytes } of objects) await running.packs.append(CHUNK, digest, bytes);
    await running.packs.end("now");
    const [record] = running.packs.ended;
    const described = await describePack(running.world.opfs, record?.pack ?? "");
    expect(described?.header.store).toBe(await running.world.store.id());
    expect(described).toMatchObject({ size: record?.size, trailer: { length: record?.trailer, pathInfos: [] } });
    expect(pack(running, record).subarray(HEADER_LENGTH, HEADER_LENGTH + 11)).toEqual(
      concatBytes(objects.map(({ bytes }) => bytes)),
    );
    expect(running.packs.open).toBeUndefined();
    await running.packs.end("now");
    expect(running.packs.ended).toHaveLength(1);
  });

  test.each([
    ["strict", "now", "now"],
    ["strict", "beside", "beside"],
    ["relaxed", "now", "never"],
    ["relaxed", "beside", "never"],
  ] as const)("of a %s session that ends it %s is flushed %s", async (durability, sync, expected) => {
    const running = session(durability);
    await append(running, [1]);
    await running.packs.end(sync);
    expect(running.world.opfs.finished).toEqual([{ id: running.packs.ended[0]?.pack, sync: expected }]);
  });

  test("that can't be written out fails the session; `now` rejects too", async () => {
    const running = session();
    const problem = new StoreError("quota", "no room");
    running.world.opfs.onFinish = () => Promise.reject(problem);
    await append(running, [1]);
    await running.packs.end("beside");
    await vi.waitFor(() => expect(running.failures).toEqual([problem]));
    await append(running, [1], 1);
    await expect(running.packs.end("now")).rejects.toBe(problem);
    expect(running.failures).toEqual([problem, problem]);
  });

  test("waits while four others are written out", async () => {
    const running = session();
    const waiting: (() => void)[] = [];
    running.world.opfs.onFinish = () => new Promise((resolve) => waiting.push(resolve));
    for (let i = 0; i < 4; i++) {
      await append(running, [1], i);
      await running.packs.end("beside");
    }
    await append(running, [1], 4);
    let isEnded = false;
    const fifth = running.packs.end("beside").then(() => {
      isEnded = true;
    });
    await allSettled();
    expect({ isEnded, finishing: waiting.length }).toEqual({ isEnded: false, finishing: 4 });
    waiting[2]?.();
    await fifth;
    expect(waiting).toHaveLength(5);

    const all = [...running.packs.ended];
    const at = (record: IndexRecord | undefined) => record && ({ record, kind: CHUNK, offset: 0, length: 1 } as const);
    expect(running.packs.underWay([at(all[2]), undefined])).toEqual([]);
    // Two objects of one pack wait for the same promise.
    expect(running.packs.underWay([at(all[0]), at(all[0]), at(all[1])])).toHaveLength(2);
    for (const done of waiting) done();
    await running.packs.finished();
    expect(running.packs.underWay(all.map(at))).toEqual([]);
  });
});

test("the records of ended packs list their own entries, though others commit between them", async () => {
  const running = session();
  const { table } = running.world.store;
  const other: IndexRecord = { ...(await emptyRecord()), alive: true };
  table.add(digest(100), CHUNK, other, 0, 1);
  await append(running, [1, 2]);
  table.add(digest(101), CHUNK, other, 0, 1);
  await running.packs.end("beside");
  await append(running, [3], 2);
  table.add(digest(102), CHUNK, other, 0, 1);
  await append(running, [4], 3);
  await running.packs.end("beside");
  const listed = [...running.packs.records()].map(([key, record]) => {
    const entries: [Uint8Array, number, number][] = [];
    readEntries("a record", record, (digest, _kind, offset, length) => entries.push([digest.slice(), offset, length]));
    return { key, pack: record.pack, storage: record.storage, size: record.size, trailer: record.trailer, entries };
  });
  const entry = (number: number, offset: number, length: number) => [
    new Uint8Array(digest(number)),
    HEADER_LENGTH + offset,
    length,
  ];
  const [first, second] = running.packs.ended;
  expect(listed).toEqual([
    {
      key: first?.key,
      pack: first?.pack,
      storage: "opfs",
      size: first?.size,
      trailer: first?.trailer,
      entries: [entry(0, 0, 1), entry(1, 1, 2)],
    },
    {
      key: second?.key,
      pack: second?.pack,
      storage: "opfs",
      size: second?.size,
      trailer: second?.trailer,
      entries: [entry(2, 0, 3), entry(3, 3, 4)],
    },
  ]);

  running.packs.adopt();
  expect([first, second].map((record) => record?.alive)).toEqual([true, true]);
  expect([...running.world.store.records]).toEqual([first, second]);
  expect([...running.packs.records()]).toEqual([]);
  await append(running, [5], 4);
  await running.packs.end("beside");
  expect([...running.packs.records()].map(([key]) => key)).toEqual([running.packs.ended[0]?.key]);
});

async function emptyRecord(): Promise<IndexRecord> {
  return { alive: false, key: "other", pack: "other", storage: "opfs", size: 1000, trailer: 0, count: 3, bytes: 3 };
}

describe("path infos", () => {
  const infosOf = async (running: Session): Promise<string[][]> => {
    const found: string[][] = [];
    for (const { pack } of running.packs.ended) {
      const { trailer } = (await describePack(running.world.opfs, pack)) ?? {};
      const infos = await Promise.all((trailer?.pathInfos ?? []).map((bytes) => decodePathInfo("a pack", bytes)));
      found.push(infos.map(({ storePath }) => storePath.slice(11, 12)));
    }
    return found;
  };
  /** A path info of at least `length` bytes. */
  const long = (letter: string, length: number): PathInfo =>
    pathInfo(letter, symlink, {
      signatures: [`${"k".repeat(length)}:${"A".repeat(86)}==`],
    });

  test("go into the trailer of the open pack, or start one", async () => {
    const running = session();
    await running.packs.notePathInfos([pathInfo("a", symlink)]);
    expect(running.packs.open).toMatchObject({ count: 0, size: HEADER_LENGTH });
    await append(running, [1]);
    await running.packs.notePathInfos([pathInfo("b", symlink), pathInfo("c", symlink)]);
    await running.packs.end("now");
    expect(await infosOf(running)).toEqual([["a", "b", "c"]]);
  });

  test("are not in packs of IndexedDB", async () => {
    const running = session("strict", "indexeddb");
    await running.packs.notePathInfos([pathInfo("a", symlink)]);
    expect(running.packs.open).toBeUndefined();
  });

  test("of more than 1 MiB end the pack; a single one may be longer", async () => {
    const running = session();
    await running.packs.notePathInfos([
      long("a", 600_000),
      long("b", 300_000),
      long("c", 300_000),
      long("d", 1_200_000),
      pathInfo("f", symlink),
    ]);
    await running.packs.end("now");
    await running.packs.finished();
    expect(await infosOf(running)).toEqual([["a", "b"], ["c"], ["d"], ["f"]]);
  });

  test("of more than 32 MiB are left out", async () => {
    const running = session();
    await running.packs.notePathInfos([long("a", 32 * MIB), pathInfo("b", symlink)]);
    await running.packs.end("now");
    expect(await infosOf(running)).toEqual([["b"]]);
  });
});

describe("the end of a session without a commit", () => {
  test.each([false, true])("deletes its packs, unless their commit may have succeeded: %s", async (keeps) => {
    const running = session();
    await append(running, [1]);
    await running.packs.end("beside");
    await append(running, [1], 1);
    const [ended, open] = [running.packs.ended[0], running.packs.open];
    await running.packs.discard(keeps);
    expect([...running.world.opfs.files.keys()]).toEqual(keeps ? [ended?.pack] : []);
    expect(running.world.opfs.aborted).toEqual(keeps ? [] : [open?.pack]);
    expect([ended?.writer, open?.writer]).toEqual([undefined, undefined]);
    expect([running.packs.open, running.packs.ended]).toEqual([undefined, []]);
  });

  test("waits for packs that are being written out, even if they fail", async () => {
    const running = session();
    const failing: ((error: unknown) => void)[] = [];
    running.world.opfs.onFinish = () => new Promise((_, reject) => failing.push(reject));
    await append(running, [1]);
    await running.packs.end("beside");
    let isDone = false;
    const discarding = running.packs.discard(false).then(() => {
      isDone = true;
    });
    await allSettled();
    expect(isDone).toBe(false);
    failing[0]?.(new StoreError("unavailable", "gone"));
    await discarding;
    expect(running.failures).toHaveLength(1);
  });
});

test("a full disk is reported with the number of bytes; other errors pass unchanged", async () => {
  const running = session();
  running.world.opfs.onAppend = () => {
    throw new StoreError("quota", "full");
  };
  const problem: unknown = await append(running, [64 * KIB]).catch((error: unknown) => error);
  // The buffer with the header is written first.
  expect(problem).toMatchObject({ code: "quota", message: expect.stringContaining(`${HEADER_LENGTH} more bytes`) });
  const other = new StoreError("unavailable", "gone");
  running.world.opfs.onAppend = () => {
    throw other;
  };
  await expect(running.packs.flush()).rejects.toBe(other);
});
