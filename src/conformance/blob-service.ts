import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { concatBytes, equalBytes, utf8 } from "../bytes.ts";
import type { BlobService } from "../castore/blob-service.ts";
import { type Digest, digestOf, EMPTY_DIGEST } from "../castore/digest.ts";
import { pseudoRandom, readAll } from "./content.ts";
import type { SuiteBackend, WritableServices } from "./suite-backend.ts";

async function write(blobs: WritableServices["blobs"], content: Uint8Array, piece = 100_000): Promise<Digest> {
  const writer = await blobs.create();
  for (let start = 0; start < content.length; start += piece) await writer.write(content.subarray(start, start + piece));
  const { digest, size } = await writer.close();
  expect(size).toBe(content.length);
  return digest;
}

/** Tests the rules of `BlobService`, for any backend. */
export function blobServiceSuite(backend: SuiteBackend): void {
  describe(`BlobService: ${backend.name}`, () => {
    let blobs: BlobService;
    let fill: WritableServices["blobs"];
    let close: () => Promise<void>;
    const large = pseudoRandom(3_000_000, 7);
    let largeDigest: Digest;

    beforeAll(async () => {
      const opened = await backend.open();
      blobs = opened.store.blobs;
      fill = (opened.fill ?? opened.store).blobs;
      close = opened.close;
      largeDigest = await write(fill, large);
    });
    afterAll(() => close());

    test("the empty blob is always there", async () => {
      expect(await blobs.stat([EMPTY_DIGEST])).toEqual([{ chunks: [] }]);
      expect(await blobs.readMany([EMPTY_DIGEST])).toEqual([new Uint8Array(0)]);
      expect(await readAll(await blobs.open(EMPTY_DIGEST))).toEqual(new Uint8Array(0));
    });

    test("what is missing is undefined", async () => {
      const missing = digestOf(utf8("nobody wrote this"));
      expect(await blobs.stat([missing])).toEqual([undefined]);
      expect(await blobs.readMany([missing])).toEqual([undefined]);
      expect(await blobs.open(missing)).toBeUndefined();
    });

    test.each([0, 1, 1023, 131_072, 131_073, 600_000, 1024 * 1024])("putMany keeps a blob of %d bytes", async (size) => {
      const content = pseudoRandom(size, size + 1);
      const kept = content.slice();
      const digests = await fill.putMany([content, utf8("beside it")]);
      expect(digests).toEqual([digestOf(kept), digestOf(utf8("beside it"))]);
      expect(equalBytes(content, kept)).toBe(true);
      const [read] = await blobs.readMany(digests);
      expect(equalBytes(read ?? utf8("missing"), kept)).toBe(true);
      const streamed = await readAll(await blobs.open(digests[0] as Digest));
      expect(equalBytes(streamed ?? utf8("missing"), kept)).toBe(true);
    });

    test.each([0, 1, 100_000, 300_000])("create keeps a blob of %d bytes", async (size) => {
      const content = pseudoRandom(size, size + 2);
      const digest = await write(fill, content, 70_001);
      expect(digest).toEqual(digestOf(content));
      const read = await readAll(await blobs.open(digest));
      expect(equalBytes(read ?? utf8("missing"), content)).toBe(true);
    });

    test("a large blob comes back whole", async () => {
      expect(largeDigest).toEqual(digestOf(large));
      const read = await readAll(await blobs.open(largeDigest));
      expect(equalBytes(read ?? utf8("missing"), large)).toBe(true);
    });

    test.each([
      [0, 10],
      [1, 1],
      [524_280, 20],
      [1_000_000, 1_500_000],
      [2_999_999, 100],
      [3_000_000, 5],
      [9_000_000, 5],
      [5, 0],
    ])("a range of it: offset %d, length %d", async (offset, length) => {
      const read = await readAll(await blobs.open(largeDigest, { offset, length }));
      expect(equalBytes(read ?? utf8("missing"), large.subarray(offset, offset + length))).toBe(true);
    });

    test("without a length a range goes to the end", async () => {
      const read = await readAll(await blobs.open(largeDigest, { offset: 2_500_000 }));
      expect(equalBytes(read ?? utf8("missing"), large.subarray(2_500_000))).toBe(true);
    });

    test("the chunks that are told make up the blob, and each can be read", async () => {
      const [stat] = await blobs.stat([largeDigest]);
      const chunks = stat?.chunks ?? [];
      expect(chunks.length).toBeGreaterThan(1);
      expect(chunks.reduce((sum, chunk) => sum + chunk.size, 0)).toBe(large.length);
      const parts = await blobs.readMany(chunks.map((chunk) => chunk.digest));
      expect(equalBytes(concatBytes(parts.map((part) => part ?? new Uint8Array(0))), large)).toBe(true);
      expect(await blobs.stat(chunks.map((chunk) => chunk.digest))).toEqual(chunks.map(() => ({ chunks: [] })));
    });

    test("answers keep the order of the questions", async () => {
      const contents = Array.from({ length: 50 }, (_, i) => utf8(`blob ${i}`));
      const digests = await fill.putMany(contents);
      const missing = digestOf(utf8("not one of them"));
      const asked = [...digests.slice(25), missing, EMPTY_DIGEST, ...digests.slice(0, 25), digests[3] as Digest];
      const read = await blobs.readMany(asked);
      const expected = [...contents.slice(25), undefined, new Uint8Array(0), ...contents.slice(0, 25), contents[3]];
      expect(read.map((bytes) => bytes && [...bytes])).toEqual(expected.map((bytes) => bytes && [...bytes]));
      expect((await blobs.stat(asked)).map((stat) => stat !== undefined)).toEqual(expected.map((bytes) => bytes !== undefined));
    });

    test("nothing is asked, nothing is answered", async () => {
      expect(await blobs.stat([])).toEqual([]);
      expect(await blobs.readMany([])).toEqual([]);
      expect(await fill.putMany([])).toEqual([]);
    });

    test("writers side by side don't mix", async () => {
      const contents = [4, 5, 6].map((seed) => pseudoRandom(400_000, seed));
      const digests = await Promise.all(contents.map((content) => write(fill, content, 33_333)));
      expect(digests).toEqual(contents.map((content) => digestOf(content)));
    });

    test("expected digests are compared before a blob becomes visible", async () => {
      const [first, second] = [utf8("as expected"), utf8("another blob")];
      const wrong = digestOf(utf8("not one of them"));
      await expect(fill.putMany([first, second], { expected: [digestOf(first), wrong] })).rejects.toMatchObject({
        code: "corrupt",
      });
      expect(await blobs.stat([digestOf(first), digestOf(second), wrong])).toEqual([undefined, undefined, undefined]);
      expect(await fill.putMany([first], { expected: [digestOf(first)] })).toEqual([digestOf(first)]);

      for (const size of [70_000, 2_000_000]) {
        const content = pseudoRandom(size, size + 5);
        const refused = await fill.create({ expected: wrong });
        await refused.write(content);
        await expect(refused.close()).rejects.toMatchObject({ code: "corrupt" });
        expect(await blobs.stat([digestOf(content), wrong])).toEqual([undefined, undefined]);
        const accepted = await fill.create({ expected: digestOf(content) });
        await accepted.write(content);
        expect(await accepted.close()).toEqual({ digest: digestOf(content), size });
      }
    });

    test("an unverified read gives the same bytes", async () => {
      const [digest] = await fill.putMany([utf8("read unverified")]);
      expect(await blobs.readMany([digest as Digest], { unverified: true })).toEqual([utf8("read unverified")]);
      expect(await readAll(await blobs.open(digest as Digest, { unverified: true }))).toEqual(utf8("read unverified"));
      const read = await readAll(await blobs.open(largeDigest, { unverified: true }));
      expect(equalBytes(read ?? utf8("missing"), large)).toBe(true);
      expect(await blobs.readMany([EMPTY_DIGEST, digestOf(utf8("nobody"))], { unverified: true })).toEqual([
        new Uint8Array(0),
        undefined,
      ]);
      expect(await blobs.open(digestOf(utf8("nobody")), { unverified: true })).toBeUndefined();
      expect(await readAll(await blobs.open(EMPTY_DIGEST, { unverified: true }))).toEqual(new Uint8Array(0));
    });

    test("an aborted writer leaves nothing", async () => {
      const content = pseudoRandom(50_000, 99);
      const writer = await fill.create();
      await writer.write(content);
      await writer.abort();
      expect(await blobs.stat([digestOf(content)])).toEqual([undefined]);
    });

    test("a signal that was given rejects with its reason", async () => {
      const reason = new Error("enough");
      const signal = AbortSignal.abort(reason);
      await expect(blobs.stat([largeDigest], { signal })).rejects.toBe(reason);
      await expect(blobs.open(largeDigest, { signal })).rejects.toBe(reason);
      await expect(blobs.readMany([largeDigest], { signal })).rejects.toBe(reason);
      await expect(fill.putMany([utf8("x")], { signal })).rejects.toBe(reason);
      await expect(fill.create({ signal })).rejects.toBe(reason);
    });

    if (backend.readOnly)
      test("refuses every write", async () => {
        const content = utf8("refused");
        await expect(blobs.putMany([content])).rejects.toMatchObject({ name: "StoreError", code: "denied" });
        await expect(blobs.create()).rejects.toMatchObject({ name: "StoreError", code: "denied" });
        expect(await blobs.stat([digestOf(content)])).toEqual([undefined]);
      });

    test("a reader may leave early", async () => {
      const stream = await blobs.open(largeDigest);
      const reader = stream?.getReader();
      expect((await reader?.read())?.done).toBe(false);
      await reader?.cancel();
      expect(await blobs.stat([largeDigest])).not.toEqual([undefined]);
    });
  });
}
