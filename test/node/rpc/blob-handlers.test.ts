import { Code, ConnectError, createClient, createRouterTransport, type HandlerContext } from "@connectrpc/connect";
import { beforeEach, describe, expect, test } from "vitest";
import { createMemoryStore } from "../../../src/backends/memory.ts";
import { concatBytes, utf8 } from "../../../src/bytes.ts";
import type { BlobService, BlobStat } from "../../../src/castore/blob-service.ts";
import { type Digest, digestOf } from "../../../src/castore/digest.ts";
import { blobHandlers, blobSliceHandlers } from "../../../src/node/rpc/blob-handlers.ts";
import { BlobService as BlobRpc } from "../../../src/wire/gen/tvix/castore/v1/rpc_blobstore_pb.ts";
import { BlobSliceService } from "../../../src/wire/gen/tvix_store_web/castore/v1/rpc_blob_slices_pb.ts";
import { withMethods } from "../../castore/with-methods.ts";
import { pseudoRandom } from "../../conformance/content.ts";

const KIB = 1024;
const MISSING = digestOf(utf8("missing"));
const CONTENT = pseudoRandom(1_500_000, 5);

let blobs: BlobService;
beforeEach(() => {
  blobs = createMemoryStore().blobs;
});

/** Makes clients of the handlers of `service`. */
function clientsOf(service: BlobService) {
  const transport = createRouterTransport((router) => {
    router.service(BlobRpc, blobHandlers(service)).service(BlobSliceService, blobSliceHandlers(service));
  });
  return { blobs: createClient(BlobRpc, transport), slices: createClient(BlobSliceService, transport) };
}

async function collect(messages: AsyncIterable<{ data: Uint8Array }>): Promise<Uint8Array[]> {
  const all: Uint8Array[] = [];
  for await (const { data } of messages) all.push(data);
  return all;
}

async function codeOf(call: Promise<unknown>): Promise<Code | undefined> {
  return call.then(
    () => undefined,
    (error) => ConnectError.from(error).code,
  );
}

test("a missing blob is not found, and a short digest is invalid", async () => {
  const { blobs: client, slices } = clientsOf(blobs);
  for (const [digest, code] of [
    [MISSING, Code.NotFound],
    [new Uint8Array(31), Code.InvalidArgument],
    [new Uint8Array(0), Code.InvalidArgument],
  ] as const) {
    expect(await codeOf(client.stat({ digest }))).toBe(code);
    expect(await codeOf(collect(client.read({ digest })))).toBe(code);
    expect(await codeOf(collect(slices.readSlice({ digest, offset: 0n, length: 1n })))).toBe(code);
  }
});

describe("Stat", () => {
  test("tells the chunks and the outboard only if they are requested", async () => {
    const [digest = MISSING] = await blobs.putMany([CONTENT]);
    const { blobs: client } = clientsOf(blobs);
    expect(await client.stat({ digest })).toMatchObject({ chunks: [], bao: new Uint8Array(0) });
    const chunks = await client.stat({ digest, sendChunks: true });
    expect(chunks.chunks.length).toBeGreaterThan(1);
    expect(chunks.chunks.reduce((sum, { size }) => sum + Number(size), 0)).toBe(CONTENT.length);
    const bao = await client.stat({ digest, sendBao: true });
    expect([bao.chunks.length, bao.bao.length > 0]).toEqual([0, true]);
  });

  test.each([
    [100_000, 100_000],
    [100_001, 0],
  ])("of %d chunks tells %d", async (count, told) => {
    const chunk = { digest: MISSING, size: 1 };
    const { stat } = blobHandlers(withMethods(blobs, { stat: async () => [{ chunks: Array(count).fill(chunk) }] }));
    // To send so many chunks would take seconds.
    const context = { signal: new AbortController().signal } as HandlerContext;
    const { chunks } = await stat({ digest: MISSING, sendChunks: true, sendBao: false }, context);
    expect(chunks).toHaveLength(told);
  });

  test.each([
    [16_385, true],
    [16_386, false],
  ])("of %d MiB tells the outboard: %s", async (mebibytes, isTold) => {
    // Each group is 1 MiB, and each pair of groups has a node.
    const nodes = new Uint8Array((mebibytes - 1) * 64);
    const stats: BlobStat[] = [{ chunks: [], outboard: { size: mebibytes * 1024 * KIB, groupSize: 1024 * KIB, nodes } }];
    const { blobs: client } = clientsOf(withMethods(blobs, { stat: async () => stats }));
    const { bao } = await client.stat({ digest: MISSING, sendBao: true });
    expect(bao.length).toBe(isTold ? nodes.length + 16 : 0);
  });
});

describe("Read", () => {
  const messagesOf = async (sizes: readonly number[]) => {
    const pieces = sizes.map((size, i) => pseudoRandom(size, i));
    const stream = () => ReadableStream.from(pieces) as ReadableStream<Uint8Array>;
    const { blobs: client } = clientsOf(withMethods(blobs, { open: async () => stream() }));
    const messages = await collect(client.read({ digest: MISSING }));
    expect(Buffer.compare(concatBytes(messages), concatBytes(pieces))).toBe(0);
    return messages.map(({ length }) => length);
  };

  test.each<[string, number[], number[]]>([
    ["no content", [], []],
    ["an empty piece", [0], []],
    ["small pieces, which are joined", [1, 2, 3], [6]],
    ["pieces that are joined until there are 128 KiB", [64 * KIB, 64 * KIB - 1, 1, 5], [128 * KIB, 5]],
    ["a piece of 512 KiB", [512 * KIB], [512 * KIB]],
    ["a longer piece, which is cut", [512 * KIB + 1], [512 * KIB, 1]],
  ])("sends %s", async (_, sizes, expected) => {
    expect(await messagesOf(sizes)).toEqual(expected);
  });
});

describe("Put", () => {
  async function* messages(...texts: string[]): AsyncGenerator<{ data: Uint8Array }> {
    for (const text of texts) yield { data: utf8(text) };
  }

  test("stores the messages as one blob, and ignores empty ones", async () => {
    const written: number[] = [];
    const watched = withMethods(blobs, {
      create: async (options) => {
        const writer = await blobs.create(options);
        const write = writer.write.bind(writer);
        writer.write = (bytes) => {
          written.push(bytes.length);
          return write(bytes);
        };
        return writer;
      },
    });
    const { blobs: client } = clientsOf(watched);
    const { digest } = await client.put(messages("con", "", "tent"));
    expect(digest).toEqual(digestOf(utf8("content")));
    expect(await blobs.readMany([digest as Digest])).toEqual([utf8("content")]);
    expect((await client.put(messages())).digest).toEqual(digestOf(new Uint8Array(0)));
    const whole = "x".repeat(128 * KIB);
    expect((await client.put(messages("", whole.slice(1), "x"))).digest).toEqual(digestOf(utf8(whole)));
    // Only a blob that is longer than 128 KiB gets a writer.
    expect(written).toEqual([]);
    expect((await client.put(messages(whole.slice(1), "x", "", "y", "z"))).digest).toEqual(digestOf(utf8(`${whole}yz`)));
    expect(written).toEqual([128 * KIB - 1, 1, 1, 1]);
  });

  test("that fails aborts the blob, with the reason", async () => {
    const failure = new ConnectError("the disk is full", Code.ResourceExhausted);
    const aborted: unknown[] = [];
    const failing = withMethods(blobs, {
      create: async () => ({
        write: () => Promise.reject(failure),
        close: () => expect.fail("it was closed"),
        abort: async (reason) => void aborted.push(reason),
      }),
    });
    const long = "x".repeat(128 * KIB);
    expect(await codeOf(clientsOf(failing).blobs.put(messages(long, "y")))).toBe(Code.ResourceExhausted);
    expect(aborted).toEqual([failure]);
  });

  test("that is cancelled after all messages stores nothing", async () => {
    const controller = new AbortController();
    const cancelled = async function* () {
      yield* messages("content");
      // The server sees the end of the request one turn before it sees that the client cancelled.
      setImmediate(() => controller.abort());
    };
    expect(await codeOf(clientsOf(blobs).blobs.put(cancelled(), { signal: controller.signal }))).toBe(Code.Canceled);
    for (let i = 0; i < 10; i++) await new Promise((resolve) => setImmediate(resolve));
    expect(await blobs.stat([digestOf(utf8("content"))])).toEqual([undefined]);
  });
});

describe("ReadSlice", () => {
  test("is not implemented if the store has no outboard", async () => {
    const { slices } = clientsOf(withMethods(blobs, { stat: async () => [{ chunks: [] }] }));
    expect(await codeOf(collect(slices.readSlice({ digest: MISSING, offset: 0n, length: 1n })))).toBe(Code.Unimplemented);
  });

  test("reads to the end for any length beyond it", async () => {
    const [digest = MISSING] = await blobs.putMany([CONTENT]);
    const { slices } = clientsOf(blobs);
    const slice = async (offset: bigint, length: bigint) =>
      concatBytes(await collect(slices.readSlice({ digest, offset, length })));
    const whole = await slice(0n, BigInt(CONTENT.length));
    expect(whole.length).toBeGreaterThan(CONTENT.length);
    for (const length of [BigInt(Number.MAX_SAFE_INTEGER), BigInt(Number.MAX_SAFE_INTEGER) + 1n, 2n ** 64n - 1n])
      expect(Buffer.compare(await slice(0n, length), whole)).toBe(0);
    // A slice beyond the end only proves the length.
    const beyond = await slice(2n ** 64n - 1n, 1n);
    expect(beyond.length).toBeLessThan(20_000);
  });

  test("fails if the content vanishes meanwhile", async () => {
    const [digest = MISSING] = await blobs.putMany([CONTENT]);
    const { slices } = clientsOf(withMethods(blobs, { open: async () => undefined }));
    expect(await codeOf(collect(slices.readSlice({ digest, offset: 0n, length: 1n })))).toBe(Code.NotFound);
  });
});
