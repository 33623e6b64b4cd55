import { Code, createClient, type Transport } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createMemoryStore } from "../../../src/backends/memory.ts";
import { connectRemoteStore } from "../../../src/backends/remote.ts";
import { concatBytes, toHex, utf8 } from "../../../src/bytes.ts";
import { type Digest, digestOf, EMPTY_DIGEST } from "../../../src/castore/digest.ts";
import { type Directory, type DirectorySizeRule, makeDirectory } from "../../../src/castore/directory.ts";
import { directoryDigest, directoryNode } from "../../../src/castore/directory-codec.ts";
import type { Node } from "../../../src/castore/node.ts";
import { isStoreError } from "../../../src/error.ts";
import { InlineHashEngine } from "../../../src/hash/inline-engine.ts";
import { rpcRoutes } from "../../../src/node/rpc/routes.ts";
import { type RunningServer, startServer } from "../../../src/node/server.ts";
import { calculateNar, narSize } from "../../../src/store/nar.ts";
import type { PathInfo } from "../../../src/store/path-info.ts";
import type { LocalStoreServices, RemoteStore } from "../../../src/store/services.ts";
import { iterate } from "../../../src/stream.ts";
import { DirectoryService } from "../../../src/wire/gen/tvix/castore/v1/rpc_directory_pb.ts";
import { createBrowserTransport } from "../../../src/wire/transport.ts";

const engine = new InlineHashEngine();
const HASH_A = "00bgd045z0d4icpbc2yyz4gx48ak44la";
const HASH_B = "1b9p07z77phvv2hf6gm9f28syp39f1ag";

let store: LocalStoreServices;
let server: RunningServer;
let session: Http2SessionManager;

beforeEach(async () => {
  store = createMemoryStore();
  const routes = rpcRoutes(store, { calculateNar: (node, options) => calculateNar(store, engine, node, options) });
  server = await startServer({ host: "127.0.0.1", port: 0 }, { routes });
  session = new Http2SessionManager(server.address);
});

afterEach(async () => {
  session.abort();
  await server.close();
});

const transports: Record<string, () => Transport> = {
  "gRPC over HTTP/2": () => createGrpcTransport({ baseUrl: server.address, sessionManager: session }),
  "Connect over HTTP/1.1": () => createBrowserTransport({ baseUrl: server.address, protocol: "connect" }),
  "gRPC-Web over HTTP/1.1": () => createBrowserTransport({ baseUrl: server.address, protocol: "grpc-web" }),
  "Connect, streaming requests": () =>
    createBrowserTransport({ baseUrl: server.address, protocol: "connect", streamRequests: true }),
};

async function codeOf(promise: Promise<unknown>): Promise<string | undefined> {
  try {
    await promise;
  } catch (error) {
    if (isStoreError(error)) return error.code;
    throw error;
  }
  return undefined;
}

async function collect<T>(items: AsyncIterable<T> | undefined): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items ?? []) all.push(item);
  return all;
}

async function readAll(stream: ReadableStream<Uint8Array> | undefined): Promise<Uint8Array> {
  if (!stream) throw new Error("it is missing");
  return concatBytes(await collect(iterate(stream)));
}

async function write(remote: RemoteStore, bytes: Uint8Array, piece = bytes.length): Promise<{ digest: Digest; size: number }> {
  const writer = await remote.blobs.create();
  for (let i = 0; i < bytes.length; i += piece) {
    const buffer = bytes.slice(i, i + piece);
    await writer.write(buffer);
    // The caller may overwrite the buffer after `write`.
    buffer.fill(0xee);
  }
  return writer.close();
}

/** Content without repetition, so it has several chunks. */
function noise(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = 7;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    bytes[i] = state >>> 16;
  }
  return bytes;
}

const file = (text: string): Node => ({ kind: "file", digest: digestOf(utf8(text)), size: BigInt(text.length), executable: false });

/** Directories of root/sub/leaf/file, leaves first. */
function tree(rule: DirectorySizeRule): Directory[] {
  const leaf = makeDirectory([{ name: utf8("file"), node: file("hello") }]);
  const sub = makeDirectory([{ name: utf8("leaf"), node: directoryNode(leaf, rule) }]);
  const root = makeDirectory([
    { name: utf8("sub"), node: directoryNode(sub, rule) },
    { name: utf8("again"), node: directoryNode(leaf, rule) },
  ]);
  return [leaf, sub, root];
}

async function pathInfoOf(node: Node, change: Partial<PathInfo> = {}): Promise<PathInfo> {
  const nar = await calculateNar(store, engine, node);
  return {
    storePath: `/nix/store/${HASH_A}-thing`,
    node,
    narSize: nar.narSize,
    narHash: nar.narHash,
    references: [],
    signatures: [],
    ...change,
  };
}

async function putTree(rule: DirectorySizeRule): Promise<Node> {
  const directories = tree(rule);
  await store.blobs.putMany([utf8("hello")]);
  await store.directories.put(directories);
  return directoryNode(directories.at(-1) as Directory, rule);
}

describe.each(Object.keys(transports))("a remote store over %s", (name) => {
  let remote: RemoteStore;
  beforeEach(() => {
    remote = connectRemoteStore((transports[name] as () => Transport)(), { name: "the test's server" });
  });

  test("writes and reads a blob of several MiB", async () => {
    const content = noise(6 * 1024 * 1024 + 17);
    const written = await write(remote, content, 700_001);
    expect(written).toEqual({ digest: digestOf(content), size: content.length });
    expect(toHex(digestOf(await readAll(await remote.blobs.open(written.digest))))).toBe(toHex(written.digest));
    const [stat] = await remote.blobs.stat([written.digest]);
    expect(stat?.chunks.length).toBeGreaterThan(1);
    expect(stat?.chunks.reduce((sum, chunk) => sum + chunk.size, 0)).toBe(content.length);
    // Each chunk can be read as a blob of its own.
    const chunk = stat?.chunks[1];
    if (!chunk) throw new Error("no chunk");
    expect(await readAll(await remote.blobs.open(chunk.digest))).toHaveLength(chunk.size);
    expect(await remote.blobs.stat([chunk.digest])).toEqual([{ chunks: [] }]);
  });

  test("refuses a Directory above 4 MiB before it is sent", async () => {
    const target = new Uint8Array(4000).fill(97);
    const entries = Array.from({ length: 1100 }, (_, i) => ({
      name: utf8(`link-${String(i).padStart(4, "0")}`),
      node: { kind: "symlink", target } as const,
    }));
    expect(await codeOf(remote.directories.put([makeDirectory(entries)]))).toBe("invalid");
    expect(await codeOf(remote.directories.put([makeDirectory(entries.slice(0, 1000))]))).toBeUndefined();
  });

  test("gets invalid path infos refused", async () => {
    const node = await putTree("documented");
    const info = await pathInfoOf(node);
    const wrong: Partial<PathInfo>[] = [
      { narSize: info.narSize + 1 },
      { narHash: `sha256-${btoa("x".repeat(32))}` },
      { node: { ...node, size: 99n } as Node },
      { ca: "fixed:r:sha256:1bn7c3bf5z32cdgylhbp9nzhh6ydib5ngsm6mdhsvf233g0nh1ac" },
    ];
    for (const change of wrong) expect(await codeOf(remote.pathInfos.put({ ...info, ...change }))).toBe("invalid");
    const missing = file("missing");
    expect(await codeOf(remote.pathInfos.put({ ...info, node: missing, narSize: await narSize(store, missing) }))).toBe("conflict");
    expect(await collect(store.pathInfos.list())).toEqual([]);
  });
});

// test/conformance runs these cases over the other transports.
describe("a remote store that streams its requests over Connect", () => {
  let remote: RemoteStore;
  beforeEach(() => {
    remote = connectRemoteStore((transports["Connect, streaming requests"] as () => Transport)(), { name: "the test's server" });
  });

  test("reads ranges", async () => {
    const content = noise(2_000_000);
    const { digest } = await write(remote, content);
    for (const [offset, length] of [
      [0, 10],
      [1_500_000, 400_000],
      [1_999_999, 100],
      [2_000_000, 1],
      [5_000_000, 1],
      [3, 0],
    ] as const) {
      const range = await readAll(await remote.blobs.open(digest, { offset, length }));
      expect(toHex(digestOf(range))).toBe(toHex(digestOf(content.subarray(offset, offset + length))));
    }
  });

  test("writes and reads many small blobs, in order, with missing ones in between", async () => {
    const blobs = Array.from({ length: 30 }, (_, i) => utf8(`blob ${i}`));
    const digests = await remote.blobs.putMany([...blobs, new Uint8Array(0)]);
    expect(digests).toEqual([...blobs.map(digestOf), EMPTY_DIGEST]);
    const missing = digestOf(utf8("missing"));
    const asked = [missing, ...digests];
    expect(await remote.blobs.readMany(asked)).toEqual([undefined, ...blobs, new Uint8Array(0)]);
    expect((await remote.blobs.stat(asked)).map((stat) => stat !== undefined)).toEqual([false, ...digests.map(() => true)]);
    expect(await remote.blobs.open(missing)).toBeUndefined();
  });

  test("has the empty blob", async () => {
    expect(await readAll(await remote.blobs.open(EMPTY_DIGEST))).toHaveLength(0);
    expect((await write(remote, new Uint8Array(0))).digest).toEqual(EMPTY_DIGEST);
  });

  test("aborts a blob without leaving anything", async () => {
    const content = noise(3_000_000);
    const writer = await remote.blobs.create();
    await writer.write(content);
    const reason = new Error("changed my mind");
    await writer.abort(reason);
    await writer.abort(reason);
    await expect(writer.write(content)).rejects.toBe(reason);
    expect(await store.blobs.stat([digestOf(content)])).toEqual([undefined]);
  });

  test("an aborted call rejects with the signal's reason", async () => {
    const { digest } = await write(remote, noise(5_000_000));
    const controller = new AbortController();
    const { signal } = controller;
    const reading = await remote.blobs.open(digest, { signal });
    const writer = await remote.blobs.create({ signal });
    await writer.write(noise(1000));
    const reason = new Error("enough");
    controller.abort(reason);
    await expect(readAll(reading)).rejects.toBe(reason);
    await expect(writer.close()).rejects.toBe(reason);
    await expect(remote.blobs.stat([digest], { signal })).rejects.toBe(reason);
    await expect(remote.directories.get(EMPTY_DIGEST, { signal })).rejects.toBe(reason);
    await expect(remote.pathInfos.get(HASH_A, { signal })).rejects.toBe(reason);
  });

  test.each(["documented", "doubled"] as const)("writes and reads directories with %s sizes unchanged", async (rule) => {
    const directories = tree(rule);
    const root = directoryDigest(directories.at(-1) as Directory);
    expect(await remote.directories.put([...directories.slice(0, 1), ...directories])).toEqual(root);
    expect(await remote.directories.get(root)).toEqual(directories.at(-1));
    const closure = await remote.directories.getClosure(root);
    if (!closure) throw new Error("it is missing");
    const read = await collect(closure);
    expect(read).toHaveLength(3);
    expect(read[0]).toEqual(directories.at(-1));
  });

  test("returns undefined for missing directories, and has the empty one", async () => {
    const missing = digestOf(utf8("missing"));
    expect(await remote.directories.get(missing)).toBeUndefined();
    expect(await remote.directories.getClosure(missing)).toBeUndefined();
    expect(await remote.directories.get(EMPTY_DIGEST)).toEqual({ entries: [] });
    expect(await collect(await remote.directories.getClosure(EMPTY_DIGEST))).toEqual([{ entries: [] }]);
  });

  test("refuses directories in the wrong order, unconnected directories, and an empty list", async () => {
    const [leaf, sub, root] = tree("documented") as [Directory, Directory, Directory];
    expect(await codeOf(remote.directories.put([sub, leaf, root]))).toBe("invalid");
    expect(await codeOf(remote.directories.put([leaf, { entries: [] }]))).toBe("invalid");
    expect(await codeOf(remote.directories.put([]))).toBe("invalid");
    expect(await store.directories.get(directoryDigest(root))).toBeUndefined();
  });

  test("passes on the error of the source of directories", async () => {
    const [leaf] = tree("documented") as [Directory];
    const failure = new Error("the source broke");
    const broken = async function* () {
      yield leaf;
      throw failure;
    };
    await expect(remote.directories.put(broken())).rejects.toBe(failure);
  });

  test("writes, reads and lists path infos", async () => {
    const node = await putTree("documented");
    const info = await pathInfoOf(node, {
      references: [`${HASH_A}-thing`, `${HASH_B}-other`],
      deriver: `${HASH_B}-thing.drv`,
      signatures: [`key:${btoa("x".repeat(64))}`],
    });
    expect(await remote.pathInfos.get(HASH_A)).toBeUndefined();
    expect(await remote.pathInfos.put(info)).toEqual(info);
    expect(await remote.pathInfos.get(HASH_A)).toEqual(info);
    expect(await collect(remote.pathInfos.list())).toEqual([info]);
    expect(await store.pathInfos.get(HASH_A)).toEqual(info);
  });

  test("reports the size rules that it accepts: its own first, but both", async () => {
    expect(await remote.directories.sizeRules()).toEqual(["documented", "doubled"]);
  });
});

describe("a remote store", () => {
  test("uses the given dialect", async () => {
    const transport = (transports["gRPC over HTTP/2"] as () => Transport)();
    const snix = connectRemoteStore(transport, { name: "s", dialect: "snix" });
    const info = await pathInfoOf(await putTree("doubled"));
    expect(await snix.pathInfos.put(info)).toEqual(info);
    expect(await snix.pathInfos.get(HASH_A)).toEqual(info);
    expect((await write(snix, utf8("by snix's name"))).digest).toEqual(digestOf(utf8("by snix's name")));
  });
});

test("an upload that its client cancels after a message is not stored", async () => {
  const client = createClient(DirectoryService, (transports["gRPC over HTTP/2"] as () => Transport)());
  const controller = new AbortController();
  const leaf = makeDirectory([{ name: utf8("only-here"), node: file("x") }]);
  const request = async function* () {
    yield { files: [{ name: utf8("only-here"), digest: digestOf(utf8("x")), size: 1n, executable: false }] };
    controller.abort();
  };
  await expect(client.put(request(), { signal: controller.signal })).rejects.toMatchObject({ code: Code.Canceled });
  // The server waits for running calls.
  await server.close();
  expect(await store.directories.get(directoryDigest(leaf))).toBeUndefined();
});

describe("calls in JSON", () => {
  test("refuses unknown fields of a Directory in JSON", async () => {
    const body = JSON.stringify({ files: [], colour: "red" });
    const envelope = new Uint8Array(5 + body.length);
    new DataView(envelope.buffer).setUint32(1, body.length);
    envelope.set(utf8(body), 5);
    const response = await fetch(`${server.address}/tvix.castore.v1.DirectoryService/Put`, {
      method: "POST",
      headers: { "content-type": "application/connect+json" },
      body: envelope,
    });
    expect(await response.text()).toContain("invalid_argument");
  });

  describe("over JSON", () => {
    const node = { name: btoa("a"), digest: btoa(String.fromCharCode(...EMPTY_DIGEST)), size: "0" };
    const ask = (method: string, body: object, family = "tvix"): Promise<number> =>
      fetch(`${server.address}/${family}.store.v1.PathInfoService/${method}`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
      }).then(({ status }) => status);

    test.each(["tvix", "snix"])("refuses unknown fields of %s's nodes", async (family) => {
      expect(await ask("CalculateNAR", { file: node }, family)).toBe(200);
      expect(await ask("CalculateNAR", { file: { ...node, colour: "red" } }, family)).toBe(400);
      const info = { [family === "tvix" ? "node" : "entry"]: { file: { ...node, name: btoa(`${HASH_A}-thing`) } } };
      expect(await ask("Put", info, family)).toBe(200);
      const [[field, root]] = Object.entries(info) as [[string, { file: object }]];
      expect(await ask("Put", { [field]: { file: { ...root.file, colour: "red" } } }, family)).toBe(400);
    });

    test("ignores unknown fields of a message that names no content", async () => {
      expect(await ask("Get", { byOutputHash: btoa("x".repeat(20)), colour: "red" })).toBe(404);
    });
  });
});
