import { type ConnectRouter, createRouterTransport } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { connectRemoteStore } from "../../src/backends/remote.ts";
import { REMOTE_CONCURRENCY } from "../../src/backends/remote-connection.ts";
import { concatBytes, equalBytes, toHex, utf8 } from "../../src/bytes.ts";
import { SMALL_BLOB_LIMIT } from "../../src/castore/blob-service.ts";
import { digestOf, EMPTY_DIGEST } from "../../src/castore/digest.ts";
import type { HashEngine } from "../../src/hash/engine.ts";
import { InlineHashEngine } from "../../src/hash/inline-engine.ts";
import { iterate } from "../../src/stream.ts";
import { BlobService } from "../../src/wire/gen/tvix/castore/v1/rpc_blobstore_pb.ts";
import { BlobSliceService } from "../../src/wire/gen/tvix_store_web/castore/v1/rpc_blob_slices_pb.ts";
import { codeOf, content, digest, drain, notFound, remoteOf } from "./peer.ts";

describe("blobs of a peer", () => {
  const sending = (pieces: () => Iterable<Uint8Array>) =>
    remoteOf((router) =>
      router.service(BlobService, {
        stat: () => ({}),
        async *read() {
          for (const data of pieces()) yield { data };
        },
      }),
    );

  test("with a different digest are corrupt, and their last piece is withheld", async () => {
    const { blobs } = sending(() => [utf8("con"), utf8("tenT")]);
    const stream = await blobs.open(digest);
    const got: Uint8Array[] = [];
    const reading = (async () => {
      for await (const piece of iterate(stream as ReadableStream<Uint8Array>)) got.push(piece);
    })();
    expect(await codeOf(reading)).toBe("corrupt");
    expect(got).toEqual([utf8("con")]);
    expect(await codeOf(blobs.readMany([digest]))).toBe("corrupt");
  });

  test("are not checked if the caller does it, except a range", async () => {
    const { blobs } = sending(() => [utf8("con"), utf8("tenT")]);
    expect(await blobs.readMany([digest], { unverified: true })).toEqual([utf8("contenT")]);
    expect(await drain(await blobs.open(digest, { unverified: true }))).toEqual([utf8("con"), utf8("tenT")]);
    expect(await codeOf(blobs.open(digest, { unverified: true, offset: 0, length: 3 }))).toBe("corrupt");
  });

  test("are corrupt in a range that is right by itself", async () => {
    const { blobs } = sending(() => [utf8("con"), utf8("tenT")]);
    expect(await codeOf(blobs.open(digest, { offset: 0, length: 3 }))).toBe("corrupt");
  });

  test("may come in any pieces, including empty ones", async () => {
    const { blobs } = sending(() => [utf8(""), utf8("c"), utf8(""), utf8("ontent")]);
    expect(await drain(await blobs.open(digest))).toEqual([utf8("c"), utf8("ontent")]);
    expect(await blobs.readMany([digest])).toEqual([content]);
  });

  test("without an end are not read to the end", async () => {
    const endless = function* (piece: Uint8Array) {
      for (;;) yield piece;
    };
    expect(await codeOf(sending(() => endless(new Uint8Array(0))).blobs.readMany([digest]))).toBe("corrupt");
    expect(await codeOf(sending(() => endless(new Uint8Array(65536))).blobs.readMany([digest]))).toBe("corrupt");
    // A stream is read as far as its reader requests.
    const stream = await sending(() => endless(new Uint8Array(65536))).blobs.open(digest);
    const reader = (stream as ReadableStream<Uint8Array>).getReader();
    expect((await reader.read()).value).toHaveLength(65536);
    await reader.cancel();
  });

  test("that are slices without an end are not read to the end", async () => {
    const { blobs } = remoteOf((router) =>
      router.service(BlobSliceService, {
        async *readSlice() {
          for (;;) yield { data: new Uint8Array(0) };
        },
      }),
    );
    expect(await codeOf(blobs.open(digest, { offset: 1, length: 1 }))).toBe("corrupt");
  });

  test("with invalid chunk lists are corrupt", async () => {
    for (const chunk of [
      { digest: new Uint8Array(31), size: 1n },
      { digest, size: 0n },
      { digest, size: 2n ** 60n },
    ]) {
      const { blobs } = remoteOf((router) => router.service(BlobService, { stat: () => ({ chunks: [chunk] }) }));
      expect(await codeOf(blobs.stat([digest]))).toBe("corrupt");
    }
  });

  test("that it stored under a different digest are an error", async () => {
    const { blobs } = remoteOf((router) =>
      router.service(BlobService, {
        async put(request) {
          for await (const _ of request);
          return { digest: EMPTY_DIGEST };
        },
      }),
    );
    expect(await codeOf(blobs.putMany([content]))).toBe("corrupt");
    const writer = await blobs.create();
    await writer.write(content);
    expect(await codeOf(writer.close())).toBe("corrupt");
  });

  test("starts no blob if it is aborted while a hash is prepared", async () => {
    const controller = new AbortController();
    const reason = new Error("enough");
    let aborted = 0;
    const engine = new InlineHashEngine();
    const hash = await engine.stream("blake3");
    hash.abort = () => void aborted++;
    const slow: HashEngine = {
      blake3Many: (blobs) => engine.blake3Many(blobs),
      stream: async () => {
        controller.abort(reason);
        return hash;
      },
      cutter: () => engine.cutter(),
      close: () => {},
    };
    const remote = connectRemoteStore(
      createRouterTransport(() => {}),
      { name: "it", engine: slow },
    );
    await expect(remote.blobs.create({ signal: controller.signal })).rejects.toBe(reason);
    expect(aborted).toBe(1);
  });
});

/** Stores blobs, and counts the calls. */
function storing(stored: Map<string, Uint8Array>, calls: string[] = []): (router: ConnectRouter) => void {
  return (router) =>
    router.service(BlobService, {
      stat: ({ digest }) => (stored.has(toHex(digest)) ? {} : notFound()),
      async *read({ digest }) {
        calls.push("read");
        yield { data: stored.get(toHex(digest)) ?? notFound() };
      },
      async put(request) {
        calls.push("put");
        const pieces: Uint8Array[] = [];
        for await (const { data } of request) pieces.push(data);
        if (pieces.length === 0) throw new Error("no messages");
        const bytes = concatBytes(pieces);
        const digest = digestOf(bytes);
        stored.set(toHex(digest), bytes);
        return { digest };
      },
    });
}

describe("the empty blob", () => {
  test("exists on every peer, without a call", async () => {
    const { blobs } = remoteOf(() => {});
    expect(await blobs.readMany([EMPTY_DIGEST])).toEqual([new Uint8Array(0)]);
    expect(await drain(await blobs.open(EMPTY_DIGEST))).toEqual([]);
    expect(await drain(await blobs.open(EMPTY_DIGEST, { offset: 1, length: 1 }))).toEqual([]);
    const [plain, described] = [await blobs.stat([EMPTY_DIGEST]), await blobs.stat([EMPTY_DIGEST], { outboard: true })];
    expect([plain[0]?.chunks, plain[0]?.outboard, described[0]?.outboard?.size]).toEqual([[], undefined, 0]);
  });

  test("is written like any other, because stock snix lacks it until then", async () => {
    const stored = new Map<string, Uint8Array>();
    const { blobs } = remoteOf(storing(stored));
    expect(await blobs.putMany([new Uint8Array(0)])).toEqual([EMPTY_DIGEST]);
    expect([...stored.keys()]).toEqual([toHex(EMPTY_DIGEST)]);
  });
});

describe("many blobs", () => {
  test("are written once each, and read in the order of the request, with gaps for missing ones", async () => {
    const calls: string[] = [];
    const { blobs } = remoteOf(storing(new Map(), calls));
    const texts = ["a", "b", "a", "b"].map(utf8);
    const digests = await blobs.putMany(texts);
    expect(digests).toEqual(texts.map((bytes) => digestOf(bytes)));
    expect(calls).toEqual(["put", "put"]);
    expect(await blobs.readMany([digests[1] ?? digest, digest, digests[0] ?? digest])).toEqual([utf8("b"), undefined, utf8("a")]);
    expect(await blobs.stat([digests[0] ?? digest, digest])).toEqual([{ chunks: [], outboard: undefined }, undefined]);
  });

  test("use a limited number of calls at the same time", async () => {
    let [running, most] = [0, 0];
    const { blobs } = remoteOf((router) =>
      router.service(BlobService, {
        stat: async () => {
          most = Math.max(most, ++running);
          await new Promise((resolve) => setImmediate(resolve));
          running--;
          return {};
        },
      }),
    );
    await blobs.stat(Array.from({ length: 3 * REMOTE_CONCURRENCY }, () => digest));
    expect(most).toBe(REMOTE_CONCURRENCY);
  });

  test("may be as long as a small blob, and no longer", async () => {
    const [small, long] = [SMALL_BLOB_LIMIT, SMALL_BLOB_LIMIT + 1].map((length) => new Uint8Array(length).fill(1)) as [
      Uint8Array,
      Uint8Array,
    ];
    const { blobs } = remoteOf(storing(new Map([small, long].map((bytes) => [toHex(digestOf(bytes)), bytes]))));
    const [read] = await blobs.readMany([digestOf(small)]);
    expect(read && equalBytes(read, small)).toBe(true);
    expect(await codeOf(blobs.readMany([digestOf(long)]))).toBe("corrupt");
  });
});

describe("a range of a blob", () => {
  test.each([
    [0, 7, "content"],
    [0, 3, "con"],
    [3, 2, "te"],
    [6, 9, "t"],
    [7, 1, ""],
    [100, Number.POSITIVE_INFINITY, ""],
    [3, 0, ""],
  ])("at %d, of %d bytes, is cut from a peer's whole blob: %j", async (offset, length, expected) => {
    const { blobs } = remoteOf((router) =>
      router.service(BlobService, {
        stat: () => ({}),
        async *read() {
          for (const text of ["c", "onte", "nt"]) yield { data: utf8(text) };
        },
      }),
    );
    expect(new TextDecoder().decode(concatBytes(await drain(await blobs.open(digest, { offset, length }))))).toBe(expected);
  });

  test.each([{ offset: -1 }, { offset: 0.5 }, { length: -1 }, { length: Number.NaN }])("can't be %j", async (range) => {
    expect(await codeOf(remoteOf(() => {}).blobs.open(digest, range))).toBe("invalid");
  });
});

describe("an abort", () => {
  const reason = { why: "enough" };

  test("before a call makes none", async () => {
    const calls: string[] = [];
    const { blobs } = remoteOf(storing(new Map(), calls));
    const signal = AbortSignal.abort(reason);
    for (const call of [
      () => blobs.open(digest, { signal }),
      () => blobs.readMany([digest], { signal }),
      () => blobs.putMany([content], { signal }),
      () => blobs.stat([digest], { signal }),
      () => blobs.create({ signal }),
    ])
      await expect(call()).rejects.toBe(reason);
    expect(calls).toEqual([]);
  });

  test("of a stream that nobody reads ends the call", async () => {
    const controller = new AbortController();
    let isEnded = false;
    const { blobs } = remoteOf((router) =>
      router.service(BlobService, {
        stat: () => ({}),
        async *read(_, { signal }) {
          signal.addEventListener("abort", () => {
            isEnded = true;
          });
          for (;;) yield { data: content };
        },
      }),
    );
    const stream = await blobs.open(digest, { signal: controller.signal });
    controller.abort(reason);
    await expect.poll(() => isEnded).toBe(true);
    await expect(drain(stream)).rejects.toBe(reason);
  });
});
