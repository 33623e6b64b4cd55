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

/** What a remote may do to a part of a blob on its way. */

const content = pseudoRandom(3_000_000, 21);
const range = { offset: 1_500_000, length: 40_000 };
const wanted = content.slice(range.offset, range.offset + range.length);

interface Stat {
  chunks: { digest: Uint8Array; size: bigint }[];
  bao: Uint8Array;
}

/** What is done to the messages of each method, and how often it was called. */
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
  test("is one call, and as long as it has to be", async () => {
    let length = 0;
    spoil.slice = (data, at) => {
      length = at + data.length;
    };
    await expectRange(remote);
    expect(calls).toEqual(["ReadSlice"]);
    // 3 or 4 groups, and at most 8 levels.
    expect(length).toBeLessThan(16 + 4 * 16_384 + 8 * 64);
  });

  test("is refused whatever bit of it is another", async () => {
    let length = 0;
    spoil.slice = (data, at) => {
      length = at + data.length;
    };
    await expectRange(remote);
    // Bytes 8 to 15 are the blob's size, which only a slice with the last group proves.
    const header = [0, 1, 2, 3, 4, 5, 6, 7];
    const rest = Array.from({ length: 10 * 64 }, (_, i) => 16 + i);
    const content = Array.from({ length: 30 }, (_, i) => 700 + i * 1601);
    for (const place of [...header, ...rest, ...content, length - 1]) {
      spoil.slice = (data, at) => {
        if (place >= at && place < at + data.length) flip(data, place - at);
      };
      await expectRefused();
    }
  });

  test("whose size is a lie is refused, or has the right bytes all the same", async () => {
    for (let bit = 0; bit < 64; bit++) {
      spoil.slice = (data, at) => {
        if (at === 0) flip(data, 8 + (bit >> 3), bit % 8);
      };
      await expectRange(connect()).catch((error) => expect(error).toMatchObject({ code: "corrupt" }));
      // At the end it is proven.
      const end = connect().open(digest, { offset: content.length - 10, length: 1000 });
      await expect(end.then(readAll)).rejects.toMatchObject({ code: "corrupt" });
    }
  });

  test("that ends early, or goes on, is refused", async () => {
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

  test("of a missing blob is missing, and of the empty one nothing", async () => {
    expect(await remote.open(digestOf(utf8("nobody wrote this")), range)).toBeUndefined();
    expect(await readAll(await remote.open(EMPTY_DIGEST, range))).toEqual(new Uint8Array(0));
  });
});

describe("without slices", () => {
  beforeEach(() => {
    hasSlices = false;
  });

  test("the chunks that cover the range are read, and a remote is asked for slices once", async () => {
    await expectRange(remote);
    expect(calls).toEqual(["ReadSlice", "Stat", "Read"]);
    await expectRange(remote);
    expect(calls.slice(3)).toEqual(["Stat", "Read"]);
  });

  test("chunks are refused whatever bit of the range is another", async () => {
    for (const place of [0, 1, 100_000]) {
      let touched = false;
      spoil.read = (data) => {
        // The chunk begins before the range.
        if (!touched) for (let at = place; at < data.length; at += 10_007) flip(data, at);
        touched = true;
      };
      await expectRefused();
    }
  });

  test("an outboard is refused whatever bit of it is another", async () => {
    let length = 0;
    spoil.stat = ({ bao }) => {
      length = bao.length;
    };
    await expectRange(remote);
    expect(length).toBe(16 + 64 * (Math.ceil(content.length / 16_384) - 1));
    // The first byte is the version: of another one nothing is known, and the whole blob is read.
    for (let place = 1; place < length; place += place < 200 ? 1 : 97) {
      spoil.stat = ({ bao }) => flip(bao, place);
      await expectRefused();
    }
  });

  test("an outboard of another version is none: the whole blob is read and checked", async () => {
    spoil.stat = ({ bao }) => flip(bao, 0, 3);
    await expectRange(remote);
    expect(calls).toEqual(["ReadSlice", "Stat", "Read"]);
  });

  test("a list is refused whose sizes are others, and that names other chunks", async () => {
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
    // Every chunk's digest: the one that is read is not there, or is another's.
    for (const other of [(bytes: Uint8Array) => flip(bytes, 5), (bytes: Uint8Array) => bytes.fill(7)]) {
      spoil.stat = ({ chunks }) => {
        for (const chunk of chunks) other(chunk.digest);
      };
      await expectRefused();
    }
    // The sum is right, and so is each chunk; but they are not where the list says.
    spoil.stat = ({ chunks }) => void chunks.reverse();
    await expectRefused();
  });

  test("a remote that tells no outboard has the whole blob read", async () => {
    spoil.stat = (stat) => {
      stat.bao = new Uint8Array(0);
    };
    await expectRange(remote);
    expect(calls).toEqual(["ReadSlice", "Stat", "Read"]);
  });

  test("what is missing is missing", async () => {
    expect(await remote.open(digestOf(utf8("nobody wrote this")), range)).toBeUndefined();
  });
});
