import { beforeEach, describe, expect, test } from "vitest";
import { createMemoryStore } from "../../src/backends/memory.ts";
import { utf8 } from "../../src/bytes.ts";
import { digestOf } from "../../src/castore/digest.ts";
import type { Node } from "../../src/castore/node.ts";
import { StoreError, type StoreErrorCode } from "../../src/error.ts";
import { parseNarInfo } from "../../src/nix/narinfo.ts";
import { parseHashPart } from "../../src/nix/store-path.ts";
import { BinaryCache } from "../../src/store/binary-cache.ts";
import { calculateNar, renderNar } from "../../src/store/nar.ts";
import { renderNarInfo } from "../../src/store/nar-info.ts";
import type { PathInfo } from "../../src/store/path-info.ts";
import type { CalculateNarThere, LocalStoreServices } from "../../src/store/services.ts";
import { findSubstitute, type Substitute, Substituter } from "../../src/store/substituter.ts";
import { pseudoRandom } from "../conformance/content.ts";
import { collect, engine, failure, importFiles } from "./fixtures.ts";

/** Content of the path. The store has most of it, so copying the rest costs less than a NAR. */
const SHARED = pseudoRandom(200_000, 1);
const FILES = { shared: SHARED, "sub/new": utf8("new") };

let source: LocalStoreServices;
let store: LocalStoreServices;
let info: PathInfo;
let text: string;
let nar: Uint8Array;
/** Addresses that were requested from the cache. */
let asked: string[];
/** Number of blobs and directories that were read from the castore services. */
let reads: number;
beforeEach(async () => {
  source = createMemoryStore();
  store = createMemoryStore();
  asked = [];
  reads = 0;
  info = await importFiles(source, "thing", FILES);
  text = renderNarInfo(info);
  nar = await collect(renderNar(source, info.node));
  await importFiles(store, "other", { shared: SHARED });
  const { readMany } = source.blobs;
  source.blobs.readMany = (digests, options) => {
    reads += digests.length;
    return readMany.call(source.blobs, digests, options);
  };
});

function cache(narBody: () => Uint8Array | number = () => nar): BinaryCache {
  return new BinaryCache("https://cache.test", {
    retry: { delay: 1 },
    fetch: async (url) => {
      const path = String(url).replace("https://cache.test/", "");
      asked.push(path);
      if (path.endsWith(".narinfo"))
        return new Response(path.startsWith(parseHashPart(info.storePath)) ? text : "", { status: 200 });
      const body = narBody();
      return typeof body === "number" ? new Response("", { status: body }) : new Response(body as Uint8Array<ArrayBuffer>);
    },
  });
}

const substitute = (changed = text): Substitute => ({ ...info, text: changed, info: parseNarInfo(changed) });
const readsNar = (): boolean => asked.some((path) => path.startsWith("nar/"));

/** Imports the path. Castore services fail with `error` if one is given. */
function importWith(
  options: { castore?: LocalStoreServices | undefined; there?: CalculateNarThere; of?: Substitute; from?: BinaryCache } = {},
): Promise<PathInfo> {
  const castore = "castore" in options ? options.castore : source;
  const substituter = new Substituter(options.from ?? cache(), engine, castore, options.there);
  return substituter.import(store, options.of ?? substitute(), {});
}

async function expectImported(): Promise<void> {
  const found = await store.pathInfos.get(parseHashPart(info.storePath));
  expect(found).toEqual(info);
  expect(await calculateNar(store, engine, info.node)).toEqual({ narSize: info.narSize, narHash: info.narHash });
}

describe("a substitute", () => {
  test("has the facts of its NARInfo", async () => {
    const signature = `key-1:${"A".repeat(86)}==`;
    info = { ...info, signatures: [signature] };
    text = renderNarInfo(info);
    const { storePath, narHash, narSize, references, ca } = info;
    expect(await findSubstitute(cache(), parseHashPart(storePath), {})).toEqual({
      text,
      info: parseNarInfo(text),
      storePath,
      narHash,
      narSize,
      references,
      ca,
      signatures: [signature],
    });
  });

  test("is undefined if the cache lacks the path", async () => {
    const empty = new BinaryCache("https://cache.test", { fetch: async () => new Response("", { status: 404 }) });
    expect(await findSubstitute(empty, parseHashPart(info.storePath), {})).toBeUndefined();
  });
});

describe("the content is copied from the castore services", () => {
  test("if the store has most of it: only what is missing is read", async () => {
    expect(await importWith()).toEqual(info);
    await expectImported();
    expect([readsNar(), reads]).toEqual([false, 1]);
  });

  test("and progress rises to the size of the NAR", async () => {
    const loaded: number[] = [];
    const substituter = new Substituter(cache(), engine, source);
    await substituter.import(store, substitute(), {
      onProgress: (step) => {
        expect(step).toMatchObject({ phase: "reading", unit: "bytes", total: info.narSize });
        loaded.push(step.loaded);
      },
    });
    expect(loaded).toEqual([...loaded].sort((a, b) => a - b));
    expect(loaded.at(-1)).toBe(info.narSize);
    expect(loaded.length).toBeGreaterThan(1);
  });

  test("again without trust in the store's directories if something beneath them is missing", async () => {
    // The store has the root and its directories, but lacks a blob beneath.
    await store.directories.put(await leavesFirst());
    expect(await store.directories.get(rootNode().digest)).toBeDefined();
    expect(await importWith()).toEqual(info);
    await expectImported();
    expect(readsNar()).toBe(false);
  });

  test("and a remote calculates its NAR if there is one", async () => {
    const asked: Node[] = [];
    const there: CalculateNarThere = async (node) => {
      asked.push(node);
      return { narSize: info.narSize, narHash: info.narHash };
    };
    expect(await importWith({ there })).toEqual(info);
    expect(asked).toEqual([info.node]);
  });

  test("unless the content does not match its digest, of which the user should learn", async () => {
    source.blobs.readMany = () => Promise.reject(new StoreError("corrupt", "it was damaged"));
    expect(await failure(importWith())).toMatchObject({ code: "corrupt", message: "it was damaged" });
    expect(readsNar()).toBe(false);
  });
});

describe("the NAR is read", () => {
  async function expectNar(imported: Promise<PathInfo>): Promise<void> {
    expect(await imported).toMatchObject({ storePath: info.storePath, narHash: info.narHash });
    expect(readsNar()).toBe(true);
    await expectImported();
  }

  test("if there are no castore services", async () => {
    await expectNar(importWith({ castore: undefined }));
    expect(reads).toBe(0);
  });

  test("if the URL names no node", async () => {
    await expectNar(importWith({ of: substitute(text.replace(/^URL: .*$/m, "URL: nar/thing.nar")) }));
    expect(reads).toBe(0);
  });

  test("if the store has too little of the content", async () => {
    store = createMemoryStore();
    await expectNar(importWith());
    expect(reads).toBe(0);
  });

  test.each<StoreErrorCode>(["not-found", "unavailable", "denied", "internal", "invalid", "conflict"])(
    "if the castore services fail with %s",
    async (code) => {
      source.blobs.readMany = () => Promise.reject(new StoreError(code, "no"));
      await expectNar(importWith());
    },
  );

  test("if the services lack the node", async () => {
    source.directories.get = async () => undefined;
    await expectNar(importWith());
    expect(reads).toBe(0);
  });

  test.each<[string, () => Promise<Node>]>([
    ["is of other content", async () => (await importFiles(source, "other", { shared: SHARED, new: utf8("old") })).node],
    ["has a wrong size", async () => ({ ...(info.node as Extract<Node, { kind: "directory" }>), size: 4n })],
    [
      "is a file that is larger than the NAR",
      async () => ({ kind: "file", digest: digestOf(utf8("new")), size: 2n ** 40n, executable: false }),
    ],
    ["is a directory of more entries than the NAR has room for", async () => ({ ...rootNode(), size: 2n ** 20n })],
  ])("if the node %s", async (_, make) => {
    const wrong = renderNarInfo({ ...info, node: await make() });
    const node = rootNode();
    const of = substitute(wrong);
    expect(await importWith({ of })).toMatchObject({ storePath: info.storePath, node });
    expect(readsNar()).toBe(true);
    await expectImported();
  });

  test.each<[string, StoreErrorCode, boolean]>([
    ["calculates another NAR", "corrupt", true],
    ["finds the node invalid", "invalid", true],
    ["lacks content each time", "not-found", true],
    ["lacks content, and says so with a conflict", "conflict", true],
    ["can't be reached", "unavailable", false],
  ])("if the remote that holds the store %s: %s", async (_, code, isRead) => {
    let calls = 0;
    const there: CalculateNarThere = () => {
      calls++;
      return Promise.reject(new StoreError(code, "no"));
    };
    const importing = importWith({ there });
    if (isRead) await expectNar(importing);
    else expect(await failure(importing)).toMatchObject({ code });
    expect(calls).toBe(code === "not-found" || code === "conflict" ? 2 : 1);
  });

  test("for all later paths once the services are unavailable, but not after another failure", async () => {
    for (const [code, calls] of [
      ["unavailable", 1],
      ["denied", 2],
    ] as const) {
      let asked = 0;
      const get = source.directories.get.bind(source.directories);
      source.directories.get = () => {
        asked++;
        return Promise.reject(new StoreError(code, "no"));
      };
      const substituter = new Substituter(cache(), engine, source);
      for (let i = 0; i < 2; i++) {
        const target = createMemoryStore();
        await importFiles(target, "other", { shared: SHARED });
        await substituter.import(target, substitute(), {});
      }
      expect(asked).toBe(calls);
      source.directories.get = get;
    }
  });

  test("and is refused if it does not match the NARInfo", async () => {
    const other = nar.slice();
    const middle = nar.length >> 1;
    other[middle] = (other[middle] as number) ^ 1;
    expect(await failure(importWith({ castore: undefined, from: cache(() => other) }))).toMatchObject({ code: "corrupt" });
    expect(asked.filter((path) => path.startsWith("nar/"))).toHaveLength(1);
    expect(await store.pathInfos.get(parseHashPart(info.storePath))).toBeUndefined();
  });
});

test("an error that is no StoreError comes out, and no NAR is read", async () => {
  const error = new TypeError("a bug");
  source.blobs.readMany = () => Promise.reject(error);
  expect(await failure(importWith())).toBe(error);
  expect(readsNar()).toBe(false);
});

test("an abort rejects with its reason, while content is copied and while it is checked", async () => {
  for (const during of ["copy", "check"] as const) {
    const controller = new AbortController();
    const reason = new Error("enough");
    const stop = (): Promise<never> => {
      controller.abort(reason);
      return Promise.reject(new StoreError("not-found", "the connection was closed"));
    };
    const readMany = source.blobs.readMany;
    if (during === "copy") source.blobs.readMany = stop;
    const substituter = new Substituter(cache(), engine, source, during === "check" ? stop : undefined);
    expect(await failure(substituter.import(store, substitute(), { signal: controller.signal }))).toBe(reason);
    expect(readsNar()).toBe(false);
    source.blobs.readMany = readMany;
  }
});

function rootNode(): Extract<Node, { kind: "directory" }> {
  if (info.node.kind !== "directory") throw new Error("it is a directory");
  return info.node;
}

/** The directories of the path, in the order in which a store takes them. */
async function leavesFirst() {
  const all = [];
  for await (const one of (await source.directories.getClosure(rootNode().digest)) ?? []) all.unshift(one);
  return all;
}
