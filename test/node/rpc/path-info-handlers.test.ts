import { Code, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createMemoryStore } from "../../../src/backends/memory.ts";
import { utf8 } from "../../../src/bytes.ts";
import { type Digest, digestOf, EMPTY_DIGEST } from "../../../src/castore/digest.ts";
import { makeDirectory } from "../../../src/castore/directory.ts";
import { directoryNode } from "../../../src/castore/directory-codec.ts";
import type { Node } from "../../../src/castore/node.ts";
import { StoreError } from "../../../src/error.ts";
import { pathInfoHandlers } from "../../../src/node/rpc/path-info-handlers.ts";
import { calculateNar } from "../../../src/store/nar.ts";
import type { PathInfo } from "../../../src/store/path-info.ts";
import type { LocalStoreServices } from "../../../src/store/services.ts";
import { PathInfoService } from "../../../src/wire/gen/tvix/store/v1/rpc_pathinfo_pb.ts";
import { nodeToOneof } from "../../../src/wire/node-message.ts";
import { pathInfoToTvix } from "../../../src/wire/path-info-message.ts";
import { engine } from "../../store/fixtures.ts";

const HASH_A = "00bgd045z0d4icpbc2yyz4gx48ak44la";
const HASH_B = "1b9p07z77phvv2hf6gm9f28syp39f1ag";
const EMPTY_FILE: Node = { kind: "file", digest: EMPTY_DIGEST, size: 0n, executable: false };

let store: LocalStoreServices;
let client: ReturnType<typeof createClient<typeof PathInfoService>>;
/** Number of NARs that were calculated. */
let calculated: number;
beforeEach(() => {
  store = createMemoryStore();
  calculated = 0;
  const options = {
    calculateNar: (node: Node) => {
      calculated++;
      return calculateNar(store, engine, node);
    },
  };
  const transport = createRouterTransport((router) => {
    router.service(
      PathInfoService,
      pathInfoHandlers(store, options, async (info) => pathInfoToTvix(info)),
    );
  });
  client = createClient(PathInfoService, transport);
});
afterEach(() => {
  vi.restoreAllMocks();
});

async function statusOf(promise: Promise<unknown>): Promise<Code | undefined> {
  return promise.then(
    () => undefined,
    (error) => ConnectError.from(error).code,
  );
}

/** Stores a directory that contains one file. */
async function putTree(): Promise<Node> {
  const [digest = EMPTY_DIGEST] = await store.blobs.putMany([utf8("hello")]);
  const root = makeDirectory([{ name: utf8("file"), node: { kind: "file", digest, size: 5n, executable: false } }]);
  await store.directories.put([root]);
  return directoryNode(root, "documented");
}

async function pathInfoOf(node: Node, change: Partial<PathInfo> = {}): Promise<PathInfo> {
  const { narSize, narHash } = await calculateNar(store, engine, node);
  return { storePath: `/nix/store/${HASH_A}-thing`, node, narSize, narHash, references: [], signatures: [], ...change };
}

const file = (text: string): Node => ({ kind: "file", digest: digestOf(utf8(text)), size: BigInt(text.length), executable: false });
const hashOf = async (hashPart: string): Promise<Uint8Array> =>
  pathInfoToTvix(await pathInfoOf(EMPTY_FILE, { references: [`${hashPart}-x`] })).references[0] as Uint8Array;

describe("Get", () => {
  test("finds a path info by the hash part", async () => {
    const info = await pathInfoOf(await putTree());
    await store.pathInfos.put(info);
    const found = await client.get({ byWhat: { case: "byOutputHash", value: await hashOf(HASH_A) } });
    expect(found.narinfo?.narSize).toBe(BigInt(info.narSize));
  });

  test("refuses a request without a hash, and a short one; a missing path is not found", async () => {
    expect(await statusOf(client.get({}))).toBe(Code.InvalidArgument);
    expect(await statusOf(client.get({ byWhat: { case: "byOutputHash", value: new Uint8Array(19) } }))).toBe(Code.InvalidArgument);
    expect(await statusOf(client.get({ byWhat: { case: "byOutputHash", value: new Uint8Array(20) } }))).toBe(Code.NotFound);
  });
});

test("List sends all path infos", async () => {
  const paths = [HASH_A, HASH_B].map((hashPart) => `/nix/store/${hashPart}-x`);
  for (const storePath of paths) await store.pathInfos.put(await pathInfoOf(EMPTY_FILE, { storePath }));
  const listed: string[] = [];
  for await (const { node } of client.list({})) listed.push(new TextDecoder().decode(node?.node.value?.name));
  expect(listed.sort()).toEqual(paths.map((path) => path.slice(11)));
});

describe("Put", () => {
  test("refuses a path info that doesn't match its content, before it renders a NAR of another size", async () => {
    const info = await pathInfoOf(await putTree());
    const put = (change: Partial<PathInfo>) => statusOf(client.put(pathInfoToTvix({ ...info, ...change })));
    expect(await put({ narSize: info.narSize + 1 })).toBe(Code.InvalidArgument);
    expect(calculated).toBe(0);
    expect(await put({ narHash: `sha256-${btoa("x".repeat(32))}` })).toBe(Code.InvalidArgument);
    expect(await put({ node: { ...info.node, size: 99n } as Node })).toBe(Code.InvalidArgument);
    expect(await put({ ca: `fixed:r:sha256:${"0".repeat(52)}` })).toBe(Code.InvalidArgument);
    expect(await store.pathInfos.get(HASH_A)).toBeUndefined();
    expect(await put({})).toBeUndefined();
    expect(await store.pathInfos.get(HASH_A)).toEqual(info);
  });

  test("fills in the facts that a PathInfo without narinfo lacks", async () => {
    const info = await pathInfoOf(await putTree());
    await store.pathInfos.put(await pathInfoOf(EMPTY_FILE, { storePath: `/nix/store/${HASH_B}-other` }));
    const references = [`${HASH_A}-thing`, `${HASH_B}-other`];
    const message = pathInfoToTvix({ ...info, references });
    const answered = await client.put({ node: message.node, references: message.references });
    expect(answered.narinfo?.referenceNames).toEqual(references);
    expect(answered.narinfo?.narSize).toBe(BigInt(info.narSize));
    expect(await store.pathInfos.get(HASH_A)).toEqual({ ...info, references });
  });

  test("without a narinfo calculates the NAR once", async () => {
    const message = pathInfoToTvix(await pathInfoOf(await putTree()));
    await client.put({ node: message.node });
    expect(calculated).toBe(1);
  });

  test("fails if content is missing, unlike a request for something missing", async () => {
    const node = nodeToOneof(file("missing"), utf8(`${HASH_A}-thing`));
    expect(await statusOf(client.put({ node: { node } }))).toBe(Code.FailedPrecondition);
  });
});

describe("CalculateNAR", () => {
  test("calculates NARs for named and unnamed nodes", async () => {
    const node = await putTree();
    const { narSize } = await calculateNar(store, engine, node);
    expect((await client.calculateNAR({ node: nodeToOneof(node) })).narSize).toBe(BigInt(narSize));
    expect((await client.calculateNAR({ node: nodeToOneof(node, utf8("name")) })).narSize).toBe(BigInt(narSize));
    expect(await statusOf(client.calculateNAR({}))).toBe(Code.InvalidArgument);
    expect(await statusOf(client.calculateNAR({ node: nodeToOneof(node, utf8("a/b")) }))).toBe(Code.InvalidArgument);
    expect(await statusOf(client.calculateNAR({ node: nodeToOneof(file("missing")) }))).toBe(Code.FailedPrecondition);
  });

  test("of a directory that is missing fails, whatever its size", async () => {
    const node: Node = { kind: "directory", digest: digestOf(utf8("missing")), size: 3n };
    expect(await statusOf(client.calculateNAR({ node: nodeToOneof(node) }))).toBe(Code.FailedPrecondition);
  });

  test("distinguishes a file whose size differs from its node's from a corrupt file", async () => {
    const [digest] = (await store.blobs.putMany([utf8("hello")])) as [Digest];
    for (const size of [4n, 6n]) {
      const node: Node = { kind: "file", digest, size, executable: false };
      const root = makeDirectory([{ name: utf8("file"), node }]);
      await store.directories.put([root]);
      for (const wrong of [node, directoryNode(root, "documented")]) {
        const named = { node: nodeToOneof(wrong, utf8(`${HASH_A}-thing`)) };
        expect(await statusOf(client.calculateNAR(named))).toBe(Code.InvalidArgument);
        expect(await statusOf(client.put({ node: named }))).toBe(Code.InvalidArgument);
      }
    }
    const spoilt = async (): Promise<never> => {
      throw new StoreError("corrupt", "the blob is spoilt");
    };
    Object.assign(store.blobs, { open: spoilt, readMany: spoilt });
    const logged = vi.spyOn(console, "error").mockImplementation(() => {});
    const node = nodeToOneof({ kind: "file", digest, size: 5n, executable: false });
    expect(await statusOf(client.calculateNAR({ node }))).toBe(Code.DataLoss);
    expect(logged).toHaveBeenCalledOnce();
    logged.mockRestore();
  });
});
