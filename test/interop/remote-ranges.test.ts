import { mkdtemp, rm } from "node:fs/promises";
import { type AddressInfo, connect, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Code, ConnectError, type Interceptor, type Transport } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createMemoryStore } from "../../src/backends/memory.ts";
import { connectRemoteStore } from "../../src/backends/remote.ts";
import { equalBytes } from "../../src/bytes.ts";
import type { BlobService } from "../../src/castore/blob-service.ts";
import { ChunkedBlobService } from "../../src/castore/chunked-blobs.ts";
import type { Digest } from "../../src/castore/digest.ts";
import { NodeHashEngine } from "../../src/node/node-hash-engine.ts";
import { rpcRoutes } from "../../src/node/rpc/routes.ts";
import { type RunningServer, startServer } from "../../src/node/server.ts";
import { calculateNar } from "../../src/store/nar.ts";
import { createBrowserTransport, MAX_RESPONSE_MESSAGE } from "../../src/wire/transport.ts";
import { pseudoRandom, readAll } from "../conformance/content.ts";
import { FileChunkStore } from "../node/objects/file-chunk-store.ts";

const MIB = 1024 * 1024;
const SIZE = 1024 * MIB;
const MIDDLE = { offset: SIZE / 2 + 12_345, length: 64 * 1024 };

/** One period of the content. A GiB of repetitions has few different chunks to store. */
const PERIOD = pseudoRandom(8 * MIB, 11);
const expected = PERIOD.slice(MIDDLE.offset % PERIOD.length, (MIDDLE.offset % PERIOD.length) + MIDDLE.length);

let root: string;
let server: RunningServer;
let digest: Digest;
let chunks: FileChunkStore;
let sizes: number[];

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "remote-ranges-"));
  const engine = new NodeHashEngine();
  chunks = await FileChunkStore.open(root);
  const store = { ...createMemoryStore(engine), blobs: new ChunkedBlobService(chunks, engine) };
  const writer = await store.blobs.create();
  for (let at = 0; at < SIZE; at += PERIOD.length) await writer.write(PERIOD);
  digest = (await writer.close()).digest;
  await chunks.flush();
  sizes = ((await store.blobs.stat([digest]))[0]?.chunks ?? []).map((chunk) => chunk.size);
  const routes = rpcRoutes(store, { engine, calculateNar: (node, options) => calculateNar(store, engine, node, options) });
  server = await startServer({ host: "127.0.0.1", port: 0 }, { routes });
}, 120_000);

afterAll(async () => {
  await server.close();
  await chunks.close();
  await rm(root, { recursive: true });
});

/** A proxy between client and daemon. It counts all bytes that the daemon sends. */
class Meter {
  received = 0;
  #server: Server;

  constructor() {
    const { port, hostname } = new URL(server.address);
    this.#server = createServer((client) => {
      const daemon = connect(Number(port), hostname);
      daemon.on("data", (bytes) => {
        this.received += bytes.length;
      });
      client.pipe(daemon).pipe(client);
      client.on("error", () => daemon.destroy());
      daemon.on("error", () => client.destroy());
    });
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.#server.close();
  }
}

const BROKEN = { name: "BlobSliceService", message: "no such service" };

/** Answers like every daemon except ours: without slices. */
const withoutSlices: Interceptor = (next) => async (request) => {
  if (request.service.typeName.endsWith(BROKEN.name)) throw new ConnectError(BROKEN.message, Code.Unimplemented);
  return next(request);
};

const TRANSPORTS: [string, (baseUrl: string, interceptors: Interceptor[]) => { transport: Transport; close: () => void }][] = [
  [
    "gRPC",
    (baseUrl, interceptors) => {
      const sessionManager = new Http2SessionManager(baseUrl);
      const limits = { readMaxBytes: MAX_RESPONSE_MESSAGE };
      const transport = createGrpcTransport({ baseUrl, sessionManager, interceptors, acceptCompression: [], ...limits });
      return { transport, close: () => sessionManager.abort() };
    },
  ],
  [
    "Connect",
    (baseUrl, interceptors) => {
      const transport = intercepted(createBrowserTransport({ baseUrl, protocol: "connect" }), interceptors);
      return { transport, close: () => {} };
    },
  ],
];

/** Adds interceptors to a transport. The page's own transport does not accept any. */
function intercepted(transport: Transport, interceptors: Interceptor[]): Transport {
  if (interceptors.length === 0) return transport;
  return {
    unary: transport.unary.bind(transport),
    stream: (method, ...rest) => {
      if (method.parent.typeName.endsWith(BROKEN.name)) throw new ConnectError(BROKEN.message, Code.Unimplemented);
      return transport.stream(method, ...rest);
    },
  };
}

async function measured(
  open: (typeof TRANSPORTS)[number][1],
  interceptors: Interceptor[],
  work: (blobs: BlobService, meter: Meter) => Promise<void>,
): Promise<void> {
  const meter = new Meter();
  const { transport, close } = open(await meter.listen(), interceptors);
  try {
    await work(connectRemoteStore(transport, { name: "the daemon", dialect: "tvix" }).blobs, meter);
  } finally {
    close();
    meter.close();
  }
}

describe.each(TRANSPORTS)("64 KiB from the middle of a remote blob of 1 GiB, over %s", (name, open) => {
  test("as a slice: under 300 KiB", () =>
    measured(open, [], async (blobs, meter) => {
      const read = await readAll(await blobs.open(digest, MIDDLE));
      expect(equalBytes(read ?? new Uint8Array(0), expected)).toBe(true);
      console.info(`slice, ${name}: ${meter.received} bytes`);
      // The range touches five groups of 16 KiB, and there are 16 levels of nodes with 64 bytes
      // each. The remainder is framing.
      expect(meter.received).toBeLessThan(5 * 16_384 + 16 * 64 + 8192);
    }));

  test("through Stat and Read: the chunk list with the outboard, and the chunks that cover it", () =>
    measured(open, [withoutSlices], async (blobs, meter) => {
      const read = await readAll(await blobs.open(digest, MIDDLE));
      expect(equalBytes(read ?? new Uint8Array(0), expected)).toBe(true);
      // This blob has groups of 256 KiB.
      const start = Math.floor(MIDDLE.offset / (256 * 1024)) * 256 * 1024;
      const end = Math.ceil((MIDDLE.offset + MIDDLE.length) / (256 * 1024)) * 256 * 1024;
      let position = 0;
      let covering = 0;
      for (const size of sizes) {
        if (position + size > start && position < end) covering += size;
        position += size;
      }
      console.info(`Stat and Read, ${name}: ${meter.received} bytes, ${covering} of them chunks`);
      const list = sizes.length * 42;
      expect(meter.received).toBeLessThan(list + 256 * 1024 + covering + 16_384);
    }));
});
