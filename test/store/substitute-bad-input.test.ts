import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createMemoryStore } from "../../src/backends/memory.ts";
import { NixCachePathInfoService } from "../../src/backends/nix-cache.ts";
import { concatBytes, utf8 } from "../../src/bytes.ts";
import { formatContentAddress, parseContentAddress } from "../../src/nix/content-address.ts";
import { storePathFromContentAddress } from "../../src/nix/content-addressed-path.ts";
import { generateSecretKey, sign } from "../../src/nix/ed25519.ts";
import { fingerprint } from "../../src/nix/fingerprint.ts";
import { hashBytes } from "../../src/nix/hash-bytes.ts";
import { publicKeyOf, type SecretKey } from "../../src/nix/key.ts";
import { formatNarInfo, type NarInfo } from "../../src/nix/narinfo.ts";
import { encodeNixbase32 } from "../../src/nix/nixbase32.ts";
import { formatStorePath, parseHashPart } from "../../src/nix/store-path.ts";
import { compressedAs } from "../../src/node/binary-cache/encode.ts";
import { BinaryCache } from "../../src/store/binary-cache.ts";
import { renderNar } from "../../src/store/nar.ts";
import type { LocalStoreServices } from "../../src/store/services.ts";
import { substitutePaths } from "../../src/store/substitute.ts";
import { pseudoRandom } from "../conformance/content.ts";
import { collect, engine, importFiles } from "./fixtures.ts";

/**
 * What a cache, or somebody on the way, may do to a reader: refused with the right code, and nothing visible afterwards, whether the paths
 * are imported or asked for one by one. The NARInfo files are signed, unless a test is about that: it is not the key's owner who is trusted
 * to be right.
 */

type Body = ConstructorParameters<typeof Response>[0];

let key: SecretKey;
let nar: Uint8Array;
let right: NarInfo;
beforeAll(async () => {
  key = await generateSecretKey("test-1");
  const source = createMemoryStore();
  const { node } = await importFiles(source, "tree", { a: pseudoRandom(20_000, 1), "b/c": pseudoRandom(300, 2) });
  nar = await collect(renderNar(source, node));
  right = await signed({
    storePath: formatStorePath({ digest: pseudoRandom(20, 9), name: "tree" }),
    url: "nar/tree.nar",
    compression: "none",
    fileHash: { algorithm: "sha256", digest: await hashBytes("sha256", nar) },
    fileSize: nar.length,
    narHash: { algorithm: "sha256", digest: await hashBytes("sha256", nar) },
    narSize: nar.length,
    references: [],
    signatures: [],
  });
});

async function signed(info: NarInfo, by = key): Promise<NarInfo> {
  return { ...info, signatures: [await sign(by, fingerprint(info))] };
}

let files: Map<string, () => Body>;
let asked: string[];
/** Bytes that were taken of bodies that `pulled` made. */
let taken: number;
let store: LocalStoreServices;
beforeEach(() => {
  files = new Map<string, () => Body>([["nix-cache-info", () => "StoreDir: /nix/store\n"]]);
  asked = [];
  taken = 0;
  store = createMemoryStore();
});

/** Whatever the test did: the store shows no path, or only those that are named. */
let visible: string[];
beforeEach(() => {
  visible = [];
});
afterEach(async () => {
  const paths: string[] = [];
  for await (const { storePath } of store.pathInfos.list()) paths.push(storePath);
  expect(paths).toEqual(visible);
});

function cache(): BinaryCache {
  return new BinaryCache("https://cache.test/some/where", {
    retry: { delay: 1 },
    fetch: async (url) => {
      const path = String(url).replace("https://cache.test/some/where/", "");
      asked.push(path);
      const body = files.get(path);
      return body ? new Response(body()) : new Response("", { status: 404 });
    },
  });
}

function put(info: NarInfo, body: () => Body = () => nar as Uint8Array<ArrayBuffer>): void {
  files.set(`${parseHashPart(info.storePath)}.narinfo`, () => formatNarInfo(info));
  files.set(info.url, body);
}

const trust = () => ({ keys: [publicKeyOf(key)] });

/** Both ways of reading a cache. */
async function expectRefused(storePath: string, code: string): Promise<void> {
  await expect(substitutePaths(store, cache(), [storePath], { engine, trust: trust() })).rejects.toMatchObject({
    name: "StoreError",
    code,
  });
  const pathInfos = new NixCachePathInfoService(cache(), createMemoryStore(), { engine, trust: trust() });
  await expect(pathInfos.get(parseHashPart(storePath))).rejects.toMatchObject({ name: "StoreError", code });
}

const readsNar = (): boolean => asked.some((path) => path.includes("nar/"));

/** A body that is made as it is read, and counted. */
function pulled(pieces: Iterable<Uint8Array> | AsyncIterable<Uint8Array>): ReadableStream<Uint8Array> {
  const iterator = (async function* () {
    yield* pieces;
  })();
  return new ReadableStream(
    {
      async pull(controller) {
        const { done, value } = await iterator.next();
        if (done) return controller.close();
        taken += value.length;
        controller.enqueue(value);
      },
      cancel: async () => void (await iterator.return(undefined)),
    },
    { highWaterMark: 0 },
  );
}

function* endless(piece: Uint8Array): Generator<Uint8Array> {
  for (;;) yield piece.slice();
}

test("as a matter of course, what is right is taken", async () => {
  put(right);
  await substitutePaths(store, cache(), [right.storePath], { engine, trust: trust() });
  visible = [right.storePath];
});

describe("a NAR that is not as its NARInfo says", () => {
  const other = { algorithm: "sha256", digest: pseudoRandom(32, 3) } as const;
  test.each<[string, () => Partial<NarInfo>, string]>([
    ["FileHash", () => ({ fileHash: other }), "corrupt"],
    ["a smaller FileSize", () => ({ fileSize: nar.length - 1 }), "corrupt"],
    ["a larger FileSize", () => ({ fileSize: nar.length + 1 }), "corrupt"],
    ["NarHash", () => ({ narHash: other }), "corrupt"],
    ["a smaller NarSize", () => ({ narSize: nar.length - 8 }), "corrupt"],
    ["a larger NarSize", () => ({ narSize: nar.length + 8 }), "corrupt"],
    ["compression", () => ({ compression: "xz" }), "invalid"],
  ])("%s", async (_, change, code) => {
    const info = await signed({ ...right, ...change() });
    put(info);
    await expectRefused(info.storePath, code);
    expect(readsNar()).toBe(true);
  });

  test("compression that is not known, for which no NAR is read", async () => {
    const info = await signed({ ...right, compression: "no-such-compression" });
    put(info);
    await expectRefused(info.storePath, "invalid");
    expect(readsNar()).toBe(false);
  });

  test("a content address that another store path has", async () => {
    put(await signed({ ...right, ca: parseContentAddress(`fixed:r:sha256:${encodeNixbase32(pseudoRandom(32, 4))}`) }));
    await expectRefused(right.storePath, "corrupt");
  });

  test("a content address that another content has, for which nobody has to sign", async () => {
    const ca = parseContentAddress(`fixed:r:sha256:${encodeNixbase32(pseudoRandom(32, 4))}`);
    const storePath = formatStorePath(await storePathFromContentAddress("tree", ca));
    put({ ...right, storePath, ca, signatures: [] });
    await expectRefused(storePath, "corrupt");
    expect(readsNar()).toBe(true);
    expect(formatContentAddress(ca)).toContain("fixed:r:");
  });
});

describe("a bomb is read no further than to the declared NarSize", () => {
  const sample = (name: string): Uint8Array =>
    new Uint8Array(readFileSync(join(import.meta.dirname, "../compression/samples", name)));
  async function* narOfZeros(): AsyncGenerator<Uint8Array> {
    yield Buffer.from(gunzipped());
    yield* endless(new Uint8Array(1024 * 1024));
  }
  /** How the NAR of a large file begins. */
  const gunzipped = (): Uint8Array => {
    const tokens = ["nix-archive-1", "(", "type", "regular", "contents"].map((text) => {
      const token = new Uint8Array(8 + Math.ceil(text.length / 8) * 8);
      token[0] = text.length;
      token.set(utf8(text), 8);
      return token;
    });
    return concatBytes([...tokens, Uint8Array.of(0, 0, 0, 0, 0, 0, 1, 0)]);
  };
  const followed = function* (compression: string): Generator<Uint8Array> {
    yield sample(`nar-head.${compression}`);
    yield* endless(sample(`zeros.${compression}`));
  };
  test.each<[string, () => Iterable<Uint8Array> | AsyncIterable<Uint8Array>, number]>([
    ["none", () => narOfZeros(), 4_000_000],
    ["gzip", () => compressedAs(narOfZeros(), "gzip"), 400_000],
    ["xz", () => followed("xz"), 100_000],
    ["zstd", () => followed("zstd"), 20_000],
    // A block is decoded when all of it can be here, which is told by the largest that there are.
    ["bzip2", () => followed("bzip2"), 3_000_000],
  ])("in %s", async (compression, body, limit) => {
    const { fileHash: _hash, fileSize: _size, ...rest } = right;
    put(await signed({ ...rest, compression, narSize: 1_000_000 }), () => pulled(body()));
    await expectRefused(right.storePath, "corrupt");
    expect(taken).toBeGreaterThan(0);
    // Both ways together.
    expect(taken).toBeLessThan(2 * limit);
  });

  test("which is all the same where it is cut short", async () => {
    const { fileHash: _hash, fileSize: _size, ...rest } = right;
    put(await signed({ ...rest, compression: "gzip" }), () => gzipSync(nar).subarray(0, 10_000));
    await expectRefused(right.storePath, "invalid");
  });
});

describe("without trust", () => {
  test.each<[string, () => Promise<NarInfo>]>([
    ["no signature", async () => ({ ...right, signatures: [] })],
    [
      "a forged signature",
      async () => ({
        ...right,
        signatures: right.signatures.map(({ name, data }) => ({ name, data: data.map((byte) => byte ^ 1) })),
      }),
    ],
    ["another key of the same name", async () => signed(right, await generateSecretKey("test-1"))],
    ["another key", async () => signed(right, await generateSecretKey("test-2"))],
    ["the signature of another path", async () => ({ ...right, storePath: right.storePath.replace("-tree", "-three") })],
    ["the signature of other references", async () => ({ ...right, references: [right.storePath.replace("/nix/store/", "")] })],
    ["the signature of another hash", async () => ({ ...right, narHash: { algorithm: "sha256", digest: pseudoRandom(32, 3) } })],
    ["the signature of another size", async () => ({ ...right, narSize: right.narSize + 8 })],
  ])("%s", async (_, make) => {
    const info = await make();
    put(info);
    await expectRefused(parseHashPart(info.storePath), "denied");
    expect(readsNar()).toBe(false);
  });

  test("a signature that is none", async () => {
    files.set(`${parseHashPart(right.storePath)}.narinfo`, () => formatNarInfo(right).replace(/^Sig: .*$/m, "Sig: test-1:AAAA"));
    await expectRefused(right.storePath, "invalid");
  });

  test("the NARInfo of another path, though it is signed", async () => {
    const other = await signed({ ...right, storePath: formatStorePath({ digest: pseudoRandom(20, 10), name: "tree" }) });
    files.set(`${parseHashPart(right.storePath)}.narinfo`, () => formatNarInfo(other));
    await expectRefused(right.storePath, "corrupt");
    expect(readsNar()).toBe(false);
  });
});

test.each([
  "../tree.nar",
  "nar/../../tree.nar",
  "nar/..",
  "%2e%2e/tree.nar",
  "nar/%2E%2e/%2e%2E/tree.nar",
  "nar/.%2e/../tree.nar",
  "nar/..%2f..%2ftree.nar",
  "nar/x%5c..%5c..%5ctree.nar",
  "/some/where/nar/tree.nar",
  "//cache.test/some/where/nar/tree.nar",
  "https://elsewhere.test/nar/tree.nar",
  "https:nar/tree.nar",
  "HTTPS://elsewhere.test/nar/tree.nar",
  "file:///etc/passwd",
  "data:,x",
  "\\\\elsewhere.test\\nar\\tree.nar",
  "\\some\\where\\nar\\tree.nar",
  "nar\\..\\..\\tree.nar",
  "nar/..\\..\\tree.nar",
])("the URL %j, which leads elsewhere", async (url) => {
  // Whatever is asked for is there.
  put({ ...right, url });
  files.set("https://elsewhere.test/nar/tree.nar", () => nar as Uint8Array<ArrayBuffer>);
  await expectRefused(right.storePath, "invalid");
  expect(asked.filter((path) => !path.endsWith(".narinfo") && path !== "nix-cache-info")).toEqual([]);
});

test.each([
  ["nar/tree.nar", "nar/tree.nar"],
  ["./nar/tree.nar", "nar/tree.nar"],
  ["nar/../nar/./tree.nar", "nar/tree.nar"],
  ["nar/%2e%2e/nar/tree.nar", "nar/tree.nar"],
  ["nar/tr%65e%2e1.nar", "nar/tr%65e%2e1.nar"],
  ["nar/a%2Fb%5cc.nar", "nar/a%2Fb%5cc.nar"],
  ["nar/..tree..nar", "nar/..tree..nar"],
  ["nar/tree%20%2B+=&.nar", "nar/tree%20%2B+=&.nar"],
  ["nar/tree.nar?hash=abc&from=/../../x", "nar/tree.nar?hash=abc&from=/../../x"],
  ["nar/bäum.nar", "nar/b%C3%A4um.nar"],
])("the URL %j, which stays in the cache", async (url, path) => {
  put({ ...right, url }, () => "");
  files.set(path, () => nar as Uint8Array<ArrayBuffer>);
  await substitutePaths(store, cache(), [right.storePath], { engine, trust: trust() });
  visible = [right.storePath];
});

describe("a body without an end", () => {
  test("of a NARInfo", async () => {
    files.set(`${parseHashPart(right.storePath)}.narinfo`, () => pulled(endless(utf8("Unknown: x\n".repeat(1000)))));
    await expectRefused(right.storePath, "invalid");
    expect(taken).toBeLessThan(3_000_000);
  });

  test("of nix-cache-info", async () => {
    files.set("nix-cache-info", () => pulled(endless(utf8("Unknown: x\n".repeat(1000)))));
    await expect(cache().info()).rejects.toMatchObject({ name: "StoreError", code: "invalid" });
    expect(taken).toBeLessThan(200_000);
  });

  test("of a NAR file, whose size is told", async () => {
    put(await signed({ ...right, narSize: 2 ** 50 }), () => pulled(endless(nar)));
    await expectRefused(right.storePath, "corrupt");
    expect(taken).toBeLessThan(4 * nar.length + 1);
  });

  test("after the NAR", async () => {
    const { fileHash: _hash, fileSize: _size, ...rest } = right;
    put(await signed(rest), () => pulled(endless(nar)));
    await expectRefused(right.storePath, "corrupt");
    expect(taken).toBeLessThan(4 * nar.length + 1);
  });
});

describe("references", () => {
  const baseName = (i: number): string => formatStorePath({ digest: digestOf(i), name: "part" }).replace("/nix/store/", "");
  const digestOf = (i: number): Uint8Array => {
    const digest = new Uint8Array(20);
    new DataView(digest.buffer).setUint32(0, i + 1);
    return digest;
  };
  const part = (i: number, references: readonly number[]): Promise<NarInfo> =>
    signed({ ...right, storePath: `/nix/store/${baseName(i)}`, references: references.map(baseName) });

  async function putAll(graph: readonly (readonly number[])[]): Promise<void> {
    for (const [i, references] of graph.entries()) put(await part(i, references));
  }

  const substitute = () => substitutePaths(store, cache(), [baseName(0)], { engine, trust: trust() });

  test.each<[string, number[][]]>([
    ["of two to one another", [[1], [0]]],
    ["in a longer circle, that is not at the beginning", [[1], [2], [3], [4, 1], []]],
  ])("%s", async (_, graph) => {
    await putAll(graph);
    await expect(substitute()).rejects.toMatchObject({ name: "StoreError", code: "invalid" });
    expect(readsNar()).toBe(false);
  });

  test("to what the cache has not", async () => {
    await putAll([[1], [2]]);
    await expect(substitute()).rejects.toMatchObject({ name: "StoreError", code: "not-found" });
    expect(readsNar()).toBe(false);
  });

  test("to something that nobody signed", async () => {
    await putAll([[1], []]);
    put({ ...(await part(1, [])), signatures: [] });
    await expect(substitute()).rejects.toMatchObject({ name: "StoreError", code: "denied" });
    expect(readsNar()).toBe(false);
  });

  test("to something that breaks off: what refers to it does not show up", async () => {
    await putAll([[1], [2], []]);
    put({ ...(await part(1, [2])), url: "nar/other.nar" }, () => nar.slice(0, 100) as Uint8Array<ArrayBuffer>);
    await expect(substitute()).rejects.toMatchObject({ name: "StoreError", code: "corrupt" });
    // The innermost is whole, and may have come before the other failed.
    visible = (await store.pathInfos.get(parseHashPart(baseName(2)))) ? [`/nix/store/${baseName(2)}`] : [];
  });

  test("to itself are nothing special, and a chain of many is taken", async () => {
    await putAll(Array.from({ length: 400 }, (_, i) => (i < 399 ? [i, i + 1] : [i])));
    const { paths } = await substitutePaths(store, cache(), [baseName(0)], { engine, trust: trust() });
    expect(paths).toBe(400);
    visible = Array.from({ length: 400 }, (_, i) => `/nix/store/${baseName(i)}`).sort();
  });

  test("to more than there can be", async () => {
    // Each of 20 refers to 19,000 others.
    put(
      await part(
        0,
        Array.from({ length: 20 }, (_, i) => i + 1),
      ),
    );
    for (let i = 1; i <= 20; i++) {
      const others = Array.from({ length: 19_000 }, (_, j) => 1000 + i * 20_000 + j);
      put({ ...right, storePath: `/nix/store/${baseName(i)}`, references: others.map(baseName), signatures: [] });
    }
    await expect(substitute()).rejects.toMatchObject({ name: "StoreError", code: "invalid" });
    expect(asked).toHaveLength(21);
  });
});
