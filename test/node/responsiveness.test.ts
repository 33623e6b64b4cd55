import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { create, type DescMessage, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { afterAll, beforeAll, expect, test } from "vitest";
import { concatBytes, EMPTY_BYTES, toBase64, toBase64Url, utf8 } from "../../src/bytes.ts";
import type { Digest } from "../../src/castore/digest.ts";
import { type Directory, makeDirectory } from "../../src/castore/directory.ts";
import { directoryNode, encodeDirectory, encodeNode } from "../../src/castore/directory-codec.ts";
import type { Node } from "../../src/castore/node.ts";
import { NarWriter } from "../../src/nix/nar-writer.ts";
import { encodeNixbase32 } from "../../src/nix/nixbase32.ts";
import { openEmbeddedStore } from "../../src/node/embedded-store.ts";
import { NodeHashEngine } from "../../src/node/node-hash-engine.ts";
import { compressZstd } from "../../src/node/zstd.ts";
import { calculateNar } from "../../src/store/nar.ts";
import type { PathInfo } from "../../src/store/path-info.ts";
import { BlobChunkSchema, ReadBlobRequestSchema } from "../../src/wire/gen/tvix/castore/v1/rpc_blobstore_pb.ts";
import { GetDirectoryRequestSchema } from "../../src/wire/gen/tvix/castore/v1/rpc_directory_pb.ts";
import { encodePathInfo } from "../../src/wire/stored-messages.ts";
import { pseudoRandom } from "../conformance/content.ts";
import { type RunningDaemon, startDaemon } from "./run-cli.ts";

/**
 * Processor time in milliseconds that the daemon may take without letting other requests run. It
 * lets them run every 10 ms; garbage collection and compilation take the rest. Without that, a
 * request of this file keeps the thread for all of its time.
 */
const LONGEST = 150;
/** Least processor time of a request, so that a daemon that never lets others run fails. */
const AT_LEAST = 2 * LONGEST;

const MIB = 1024 * 1024;
const BLOB_SIZE = 128 * MIB;
const piece = pseudoRandom(MIB, 1);

let dir: string;
let daemon: RunningDaemon;
let blob: Extract<Node, { kind: "file" }>;
let tree: Node;
let wide: readonly Directory[];
let blobPath: PathInfo;
let treePath: PathInfo;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "tvix-store-web-"));
  const engine = new NodeHashEngine();
  const store = await openEmbeddedStore(dir, { engine });
  const writer = await store.blobs.create();
  for (let i = 0; i < BLOB_SIZE; i += MIB) await writer.write(piece);
  const { digest } = await writer.close();
  blob = { kind: "file", digest, size: BigInt(BLOB_SIZE), executable: false };
  const link: Node = { kind: "symlink", target: utf8("target") };
  const entries = (prefix: string, count: number, node: Node) =>
    Array.from({ length: count }, (_, i) => ({ name: utf8(`${prefix}${i}`), node }));
  const shared = makeDirectory(entries("shared", 1000, link));
  const listed = makeDirectory(entries("directory", 400, directoryNode(shared, "documented")));
  await store.directories.put([shared, listed]);
  tree = directoryNode(listed, "documented");
  const leaves = Array.from({ length: 1500 }, (_, i) => makeDirectory(entries(`link${i}-`, 100, link)));
  const root = makeDirectory(leaves.map((leaf, i) => ({ name: utf8(`${i}`), node: directoryNode(leaf, "documented") })));
  wide = [...leaves, root];
  const info = async (i: number, node: Node): Promise<PathInfo> => ({
    storePath: `/nix/store/${encodeNixbase32(pseudoRandom(20, i + 1))}-path-${i}`,
    node,
    ...(await calculateNar(store, engine, node)),
    references: [],
    signatures: [],
  });
  blobPath = await info(0, blob);
  treePath = await info(1, tree);
  const linkInfo = await info(2, link);
  const links = Array.from({ length: 3000 }, (_, i) => ({
    ...linkInfo,
    storePath: `/nix/store/${encodeNixbase32(pseudoRandom(20, i + 3))}-${i}`,
  }));
  await Promise.all([blobPath, treePath, ...links].map((one) => store.pathInfos.put(one)));
  await store.close();
  daemon = await startDaemon(["-l", "127.0.0.1:0", "--data-dir", dir]);
}, 120_000);

afterAll(async () => {
  await daemon.stop();
  await rm(dir, { recursive: true });
});

const SCRIPT = join(import.meta.dirname, "long-request.mjs");

interface LongRequest {
  readonly path: string;
  readonly grpc?: boolean;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: readonly (Uint8Array | { readonly bytes: Uint8Array; readonly count: number })[];
}

/**
 * Writes the request to a file. Returns a function that sends it, and resolves to what came back.
 */
async function prepare({ path, body = [], ...rest }: LongRequest): Promise<() => Promise<string>> {
  const parts = body.map((part) => (part instanceof Uint8Array ? { bytes: part, count: 1 } : part));
  const encoded = parts.map(({ bytes, count }) => ({ base64: toBase64(bytes), count }));
  const file = join(dir, "request.json");
  await writeFile(file, JSON.stringify({ url: `${daemon.address}${path}`, body: encoded, ...rest }));
  return async () => (await promisify(execFile)(process.execPath, [SCRIPT, file])).stdout;
}

/** Returns the longest processor time between two turns of the event loop, and all of it. */
async function turnsDuring(work: () => Promise<unknown>): Promise<{ longest: number; all: number }> {
  let [longest, all] = [0, 0];
  let isRunning = true;
  let before = process.cpuUsage();
  const look = (): void => {
    const { user, system } = process.cpuUsage(before);
    before = process.cpuUsage();
    const time = (user + system) / 1000;
    longest = Math.max(longest, time);
    all += time;
    if (isRunning) setImmediate(look);
  };
  look();
  [longest, all] = [0, 0];
  await work();
  isRunning = false;
  return { longest, all };
}

const encode = <Schema extends DescMessage>(schema: Schema, message: MessageInitShape<Schema>): Uint8Array =>
  toBinary(schema, create(schema, message));

function narAround(): { before: Uint8Array; after: Uint8Array } {
  const parts: Uint8Array[] = [];
  const writer = new NarWriter((bytes) => parts.push(bytes.slice()));
  writer.file(BLOB_SIZE, false);
  writer.flush();
  const before = concatBytes(parts.splice(0));
  writer.skipContent(BLOB_SIZE);
  parts.length = 0;
  writer.endFile();
  writer.end();
  return { before, after: concatBytes(parts) };
}

async function uploadedNar(coding: "" | ".zst"): Promise<LongRequest> {
  const { before, after } = narAround();
  const coded = (bytes: Uint8Array): Uint8Array => (coding === "" ? bytes : compressZstd(bytes));
  const hash = createHash("sha256").update(coded(before));
  for (let i = 0; i < BLOB_SIZE; i += MIB) hash.update(coded(piece));
  const name = `${encodeNixbase32(hash.update(coded(after)).digest())}.nar${coding}`;
  const body = [coded(before), { bytes: coded(piece), count: BLOB_SIZE / MIB }, coded(after)];
  return { path: `/nar/${name}`, method: "PUT", body };
}

const hashPart = ({ storePath }: PathInfo): string => storePath.slice("/nix/store/".length, "/nix/store/".length + 32);
const narUrl = (info: PathInfo): string =>
  `/nar/tvix-castore/${toBase64Url(encodeNode(EMPTY_BYTES, info.node))}?narsize=${info.narSize}`;

const REQUESTS: readonly [what: string, request: () => LongRequest | Promise<LongRequest>, answer: string | RegExp][] = [
  [
    "BlobService.Put",
    () => ({
      path: "/tvix.castore.v1.BlobService/Put",
      grpc: true,
      body: [{ bytes: encode(BlobChunkSchema, { data: piece }), count: BLOB_SIZE / MIB }],
    }),
    /grpc-status 0/,
  ],
  [
    "BlobService.Read",
    () => ({
      path: "/tvix.castore.v1.BlobService/Read",
      grpc: true,
      body: [encode(ReadBlobRequestSchema, { digest: blob.digest })],
    }),
    /grpc-status 0/,
  ],
  [
    "PathInfoService.CalculateNAR",
    () => ({ path: "/tvix.store.v1.PathInfoService/CalculateNAR", grpc: true, body: [encodeNode(utf8("name"), blob)] }),
    /grpc-status 0/,
  ],
  [
    "PathInfoService.Put",
    () => ({ path: "/tvix.store.v1.PathInfoService/Put", grpc: true, body: [encodePathInfo(blobPath)] }),
    /grpc-status 0/,
  ],
  [
    "PathInfoService.List",
    () => ({ path: "/tvix.store.v1.PathInfoService/List", grpc: true, body: [EMPTY_BYTES] }),
    /grpc-status 0/,
  ],
  [
    "DirectoryService.Put",
    () => ({ path: "/tvix.castore.v1.DirectoryService/Put", grpc: true, body: wide.map(encodeDirectory) }),
    /grpc-status 0/,
  ],
  [
    "DirectoryService.Get",
    () => ({
      path: "/tvix.castore.v1.DirectoryService/Get",
      grpc: true,
      body: [
        encode(GetDirectoryRequestSchema, {
          byWhat: { case: "digest", value: (directoryNode(wide.at(-1) as Directory, "documented") as { digest: Digest }).digest },
          recursive: true,
        }),
      ],
    }),
    /grpc-status 0/,
  ],
  ["a NAR", () => ({ path: narUrl(blobPath), headers: { "accept-encoding": "identity" } }), /status 200/],
  ["a NAR in zstd", () => ({ path: narUrl(blobPath), headers: { "accept-encoding": "zstd, identity;q=0" } }), /status 200/],
  ["a NAR in gzip", () => ({ path: narUrl(treePath), headers: { "accept-encoding": "gzip, identity;q=0" } }), /status 200/],
  ["the upload of a NAR", () => uploadedNar(""), /status 201/],
  ["the upload of a NAR in zstd", () => uploadedNar(".zst"), /status 201/],
  ["the NAR of many links", () => ({ path: narUrl(treePath) }), /status 200/],
  ["the listing of many links", () => ({ path: `/${hashPart(treePath)}.ls` }), /status 200/],
];

test.each(REQUESTS)("other requests are answered during %s", async (_what, request, answer) => {
  const send = await prepare(await request());
  let output = "";
  const { longest, all } = await turnsDuring(async () => {
    output = await send();
  });
  expect(output).toMatch(answer);
  expect(all).toBeGreaterThan(AT_LEAST);
  expect(longest).toBeLessThan(LONGEST);
});
