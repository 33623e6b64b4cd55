import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { connectRemoteStore } from "../../src/backends/remote.ts";
import { concatBytes, equalBytes, utf8 } from "../../src/bytes.ts";
import type { BlobService } from "../../src/castore/blob-service.ts";
import { type Digest, digestOf, EMPTY_DIGEST } from "../../src/castore/digest.ts";
import type { RunningServer } from "../../src/node/server.ts";
import { pseudoRandom, readAll } from "../conformance/content.ts";
import { startLiveDaemon } from "../conformance/live-daemon.ts";

/** Reads ranges from a remote that alters its messages. */

const content = pseudoRandom(3_000_000, 21);
const range = { offset: 1_500_000, length: 40_000 };
const wanted = content.slice(range.offset, range.offset + range.length);

interface Stat {
  chunks: { digest: Uint8Array; size: bigint }[];
  bao: Uint8Array;
}

/** Changes to the messages of each method. `calls` lists the methods that were called. */
let spoil: { stat?: (stat: Stat) => void; read?: Change; slice?: Change };
type Change = (data: Uint8Array, at: number) => Uint8Array | undefined | undefined;
let hasSlices: boolean;
let calls: string[];

const meddling: Interceptor = (next) => async (request) => {
  const { name } = request.method;
  calls.push(name);
  if (name === "ReadSlice" && !hasSlices) throw new ConnectError("no such service", Code.Unimplemented);
  const response = await next(request);
  if (!response.stream) {
    if (name === "Stat") spoil.stat?.(response.message as unknown as Stat);
    return response;
  }
  const change = name === "ReadSlice" ? spoil.slice : name === "Read" ? spoil.read : undefined;
  if (!change) return response;
  const changed = async function* () {
    let at = 0;
    for await (const message of response.message) {
      const piece = message as unknown as { data: Uint8Array };
      const { length } = piece.data;
      piece.data = change(piece.data, at) ?? piece.data;
      at += length;
      yield message;
    }
  };
  return { ...response, message: changed() };
};

let server: RunningServer;
let session: Http2SessionManager;
let digest: Digest;
let remote: BlobService;

function connect(): BlobService {
  const transport = createGrpcTransport({ baseUrl: server.address, sessionManager: session, interceptors: [meddling] });
  return connectRemoteStore(transport, { name: "the daemon", dialect: "tvix" }).blobs;
}

beforeAll(async () => {
  server = await startLiveDaemon();
  session = new Http2SessionManager(server.address);
  spoil = {};
  calls = [];
  const writer = await connect().create();
  await writer.write(content);
  digest = (await writer.close()).digest;
});

afterAll(async () => {
  session.abort();
  await server.close();
});

beforeEach(() => {
  spoil = {};
  hasSlices = true;
  calls = [];
  remote = connect();
});

async function expectRange(blobs: BlobService): Promise<void> {
  const read = await readAll(await blobs.open(digest, range));
  expect(equalBytes(read ?? new Uint8Array(0), wanted)).toBe(true);
}

async function expectRefused(): Promise<void> {
  await expect((async () => readAll(await connect().open(digest, range)))()).rejects.toMatchObject({ code: "corrupt" });
}

const flip = (bytes: Uint8Array, at: number, bit = at % 8): void => {
  bytes[at] = (bytes[at] as number) ^ (1 << bit);
};

describe("a slice", () => {
  test("takes one call, and has the minimal length", async () => {
    let length = 0;
    spoil.slice = (data, at) => {
      length = at + data.length;
    };
    await expectRange(remote);
    expect(calls).toEqual(["ReadSlice"]);
    // 3 or 4 groups, and at most 8 levels of nodes.
    expect(length).toBeLessThan(16 + 4 * 16_384 + 8 * 64);
  });

  test("is refused with any bit flipped", async () => {
    let length = 0;
    spoil.slice = (data, at) => {
      length = at + data.length;
    };
    await expectRange(remote);
    // Bytes 8 to 15 are the blob's size. Only a slice with the last group proves it.
    const header = [0, 1, 2, 3, 4, 5, 6, 7];
    // A node has two digests of 32 bytes: three bytes of each. test/hash/slice-decoder.test.ts
    // flips every bit.
    const rest = Array.from({ length: 10 * 6 }, (_, i) => 16 + Math.trunc(i * (32 / 3)));
    const content = Array.from({ length: 30 }, (_, i) => 700 + i * 1601);
    for (const place of [...header, ...rest, ...content, length - 1]) {
      spoil.slice = (data, at) => {
        if (place >= at && place < at + data.length) flip(data, place - at);
      };
      await expectRefused();
    }
  });

  test("with a wrong size is refused, or still has the right bytes", async () => {
    for (let bit = 0; bit < 64; bit++) {
      spoil.slice = (data, at) => {
        if (at === 0) flip(data, 8 + (bit >> 3), bit % 8);
      };
      await expectRange(connect()).catch((error) => expect(error).toMatchObject({ code: "corrupt" }));
      // A slice with the end proves the size.
      const end = connect().open(digest, { offset: content.length - 10, length: 1000 });
      await expect(end.then(readAll)).rejects.toMatchObject({ code: "corrupt" });
    }
  });

  test("that ends early or has more bytes is refused", async () => {
    for (const change of [
      (data: Uint8Array) => data.subarray(0, -1),
      (data: Uint8Array) => data.subarray(0, 10),
      (data: Uint8Array) => data.subarray(0, -16_384),
      (data: Uint8Array) => concatBytes([data, new Uint8Array(1)]),
    ]) {
      spoil.slice = (data) => change(data);
      await expectRefused();
    }
  });

  test("of a missing blob is missing, and of the empty blob is empty", async () => {
    expect(await remote.open(digestOf(utf8("nobody wrote this")), range)).toBeUndefined();
    expect(await readAll(await remote.open(EMPTY_DIGEST, range))).toEqual(new Uint8Array(0));
  });
});

describe("without slices", () => {
  beforeEach(() => {
    hasSlices = false;
  });

  test("reads the chunks that cover the range, and asks a remote for slices once", async () => {
    await expectRange(remote);
    expect(calls).toEqual(["ReadSlice", "Stat", "Read"]);
    await expectRange(remote);
    expect(calls.slice(3)).toEqual(["Stat", "Read"]);
  });

  test("refuses chunks with any bit of the range flipped", async () => {
    for (const place of [0, 1, 100_000]) {
      let touched = false;
      spoil.read = (data) => {
        // The chunk starts before the range.
        if (!touched) for (let at = place; at < data.length; at += 10_007) flip(data, at);
        touched = true;
      };
      await expectRefused();
    }
  });

  test("refuses an outboard with any bit flipped", async () => {
    let length = 0;
    spoil.stat = ({ bao }) => {
      length = bao.length;
    };
    await expectRange(remote);
    expect(length).toBe(16 + 64 * (Math.ceil(content.length / 16_384) - 1));
    // The first byte is the version. An unknown version means no outboard, so the whole blob is
    // read.
    for (let place = 1; place < length; place += place < 200 ? 1 : 97) {
      spoil.stat = ({ bao }) => flip(bao, place);
      await expectRefused();
    }
  });

  test("ignores an outboard of another version, and reads and checks the whole blob", async () => {
    spoil.stat = ({ bao }) => flip(bao, 0, 3);
    await expectRange(remote);
    expect(calls).toEqual(["ReadSlice", "Stat", "Read"]);
  });

  test("refuses a chunk list with wrong sizes or digests", async () => {
    let count = 0;
    spoil.stat = ({ chunks }) => {
      count = chunks.length;
    };
    await expectRange(remote);
    expect(count).toBeGreaterThan(5);
    for (let i = 0; i < count; i++) {
      for (let bit = 0n; bit < 60n; bit += 7n) {
        spoil.stat = ({ chunks }) => {
          const chunk = chunks[i];
          if (chunk) chunk.size ^= 1n << bit;
        };
        await expectRefused();
      }
    }
    // Every chunk's digest is changed. The chunk that is read is then missing, or is another one.
    for (const other of [(bytes: Uint8Array) => flip(bytes, 5), (bytes: Uint8Array) => bytes.fill(7)]) {
      spoil.stat = ({ chunks }) => {
        for (const chunk of chunks) other(chunk.digest);
      };
      await expectRefused();
    }
    // The chunks are right, and so is the sum of their sizes, but their order is wrong.
    spoil.stat = ({ chunks }) => void chunks.reverse();
    await expectRefused();
  });

  test("reads the whole blob if the remote has no outboard", async () => {
    spoil.stat = (stat) => {
      stat.bao = new Uint8Array(0);
    };
    await expectRange(remote);
    expect(calls).toEqual(["ReadSlice", "Stat", "Read"]);
  });

  test("finds a missing blob missing", async () => {
    expect(await remote.open(digestOf(utf8("nobody wrote this")), range)).toBeUndefined();
  });
});
