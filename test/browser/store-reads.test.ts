import { describe, expect, test, vi } from "vitest";
import { StoreCalls } from "../../src/browser/store-calls.ts";
import { StoreReads } from "../../src/browser/store-reads.ts";
import { utf8 } from "../../src/bytes.ts";
import { asDigest } from "../../src/castore/digest.ts";
import type { Node } from "../../src/castore/node.ts";
import { iterate } from "../../src/stream.ts";
import { operationOptions } from "../../src/thread/operation-port.ts";
import { sendStream } from "../../src/thread/port-stream.ts";
import { type FakeApi, FakeConnection } from "./fake-connection.ts";

type FakeReads = NonNullable<FakeApi["reads"]>;

function store(reads: FakeReads): StoreReads {
  return new StoreReads(new StoreCalls(new FakeConnection({ reads })));
}

const PATH = "/nix/store/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-path";
const FILE: Node = { kind: "file", digest: asDigest(new Uint8Array(32)), size: 5n, executable: false };

async function* values<T>(...all: T[]): AsyncGenerator<T> {
  yield* all;
}

async function gathered<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

test("path infos come one by one, and stop at an abort", async () => {
  const reads = store({ pathInfos: async (port: MessagePort) => sendStream(port, values([1, 2], [3])) });
  expect(await gathered(reads.pathInfos())).toEqual([1, 2, 3]);
  const silent = store({ pathInfos: async () => {} });
  await expect(gathered(silent.pathInfos({ signal: AbortSignal.abort("enough") }))).rejects.toBe("enough");
});

describe("a directory", () => {
  test("has entries, of the root by default", async () => {
    const list = vi.fn(async () => ["entry"]);
    expect(await gathered(store({ list }).list(PATH))).toEqual(["entry"]);
    expect(list).toHaveBeenCalledWith(PATH, "");
  });

  test.each([
    ["text", "a/b"],
    ["bytes", utf8("a/b")],
  ])("that is missing is not-found, and named by its path in %s", async (_, path) => {
    const listing = gathered(store({ list: async () => undefined }).list(PATH, path));
    await expect(listing).rejects.toMatchObject({ code: "not-found", message: expect.stringContaining(`"a/b"`) });
  });
});

describe("a file", () => {
  test.each<[string, Node | undefined]>([
    ["nothing", undefined],
    ["a directory", { kind: "directory", digest: asDigest(new Uint8Array(32)), size: 0n }],
    ["a symlink", { kind: "symlink", target: utf8("a") }],
  ])("is undefined if %s is at its path", async (_, node) => {
    expect(await store({ node: async () => node }).file(PATH, "a")).toBeUndefined();
  });

  test("has the size of its node, and reads its blob, at once or as a stream", async () => {
    const readBytes = vi.fn(async () => utf8("23"));
    const reads = store({
      node: async () => FILE,
      readBytes,
      readBlob: async (_digest: unknown, { offset, length }: { offset: number; length: number }, port: MessagePort) =>
        sendStream(port, values(utf8("12345".slice(offset, offset + length)))),
    });
    const file = await reads.file(PATH, "a");
    expect(file?.size).toBe(5);
    expect(await file?.slice(1, 3).text()).toBe("23");
    expect(readBytes).toHaveBeenCalledWith(FILE.digest, { offset: 1, length: 2 });
    expect(await gathered(iterate(file?.slice(2).stream() ?? new ReadableStream()))).toEqual([utf8("345")]);
  });

  test.each([
    ["text", "a", `${PATH}/a`],
    ["bytes", utf8("a"), `${PATH}/a`],
  ])("is named in messages by its path in %s", async (_, path, name) => {
    const file = await store({ node: async () => FILE, readBytes: async () => utf8("short") }).file(PATH, path);
    await expect(file?.slice(0, 2).text()).rejects.toMatchObject({ message: expect.stringContaining(name) });
  });

  test("may be a blob by its digest alone", async () => {
    const blob = store({ readBytes: async () => utf8("12345") }).blob(FILE);
    expect(blob.size).toBe(5);
    expect(await blob.text()).toBe("12345");
    const short = store({ readBytes: async () => utf8("1") }).blob(FILE);
    await expect(short.text()).rejects.toMatchObject({ message: expect.stringContaining("b3:AAAA") });
  });
});

test("a NAR is asked for without the signal, which stays in the page", async () => {
  const nar = vi.fn(async (_path: string, _part: object, port: MessagePort) => sendStream(port, values(utf8("nar"))));
  const reads = store({ nar });
  const { signal } = new AbortController();
  expect(await gathered(iterate(reads.nar(PATH, { signal, path: "a", offset: 1 })))).toEqual([utf8("nar")]);
  expect(nar.mock.calls[0]?.slice(0, 2)).toEqual([PATH, { path: "a", offset: 1 }]);
  await expect(gathered(iterate(reads.nar(PATH, { signal: AbortSignal.abort("enough") })))).rejects.toBe("enough");
});

test("a nario lists its paths once, when it is asked for", async () => {
  const nario = vi.fn(async (_paths: unknown, _options: object, port: MessagePort, to: MessagePort) => {
    operationOptions(port).finish();
    sendStream(to, values(utf8("nario")));
  });
  const reads = store({ nario });
  const paths = new Set([PATH]);
  const stream = reads.nario(paths, { closure: false, onProgress: () => {} });
  paths.clear();
  expect(await gathered(iterate(stream))).toEqual([utf8("nario")]);
  expect(await gathered(iterate(reads.nario()))).toEqual([utf8("nario")]);
  expect(nario.mock.calls.map((args) => args.slice(0, 2))).toEqual([
    [[PATH], { closure: false }],
    [undefined, {}],
  ]);
});

test("other answers are passed on, and iterables of the caller become lists", async () => {
  const verifySignatures = vi.fn(async () => "report");
  const scanReferences = vi.fn(async (_path: string, _candidates: unknown, port: MessagePort) => {
    operationOptions(port).finish();
    return ["found"];
  });
  const reads = store({
    pathInfo: async () => "info",
    narInfo: async () => undefined,
    narListing: async () => `{"version":1}`,
    verifySignatures,
    scanReferences,
  });
  expect(await reads.pathInfo(PATH)).toBe("info");
  expect(await reads.narInfo(PATH)).toBeUndefined();
  expect(await reads.narListing(PATH)).toEqual({ version: 1 });
  expect(await reads.verifySignatures(PATH)).toBe("report");
  expect(await reads.verifySignatures(PATH, { trustedPublicKeys: new Set(["key"]) })).toBe("report");
  expect(verifySignatures.mock.calls).toEqual([
    [PATH, []],
    [PATH, ["key"]],
  ]);
  expect(await reads.scanReferences(PATH)).toEqual(["found"]);
  expect(await reads.scanReferences(PATH, { candidates: new Set([PATH]) })).toEqual(["found"]);
  expect(scanReferences.mock.calls.map(([, candidates]) => candidates)).toEqual([undefined, [PATH]]);
});
