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
import { formatSignature } from "../../src/nix/signature.ts";
import { formatStorePath, parseHashPart } from "../../src/nix/store-path.ts";
import { compressedAs } from "../../src/node/binary-cache/encode.ts";
import { BinaryCache } from "../../src/store/binary-cache.ts";
import { renderNar } from "../../src/store/nar.ts";
import type { LocalStoreServices } from "../../src/store/services.ts";
import { substitutePaths } from "../../src/store/substitute.ts";
import { pseudoRandom } from "../conformance/content.ts";
import { collect, engine, importFiles } from "./fixtures.ts";

/**
 * Imports from a cache that is hostile or was tampered with. Each import must be refused with the
 * right code, and no path may be visible afterwards. This holds for imported closures and for paths
 * requested one by one. The NARInfo files are signed, unless a test is about signatures: the owner
 * of a trusted key need not be right.
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
/** Number of bytes that were read from bodies of `pulled`. */
let taken: number;
let store: LocalStoreServices;
beforeEach(() => {
  files = new Map<string, () => Body>([["nix-cache-info", () => "StoreDir: /nix/store\n"]]);
  asked = [];
  taken = 0;
  store = createMemoryStore();
});

/** Store paths that the store may show after the test. */
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

/** Expects that both ways of reading a cache are refused. */
async function expectRefused(storePath: string, code: string): Promise<void> {
  await expect(substitutePaths(store, cache(), [storePath], { engine, trust: trust() })).rejects.toMatchObject({
    name: "StoreError",
    code,
  });
  const pathInfos = new NixCachePathInfoService(cache(), createMemoryStore(), { engine, trust: trust() });
  await expect(pathInfos.get(parseHashPart(storePath))).rejects.toMatchObject({ name: "StoreError", code });
}

const readsNar = (): boolean => asked.some((path) => path.includes("nar/"));

/** A body that is made as it is read, and counts its bytes in `taken`. */
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

test("the unchanged path is accepted", async () => {
  put(right);
  await substitutePaths(store, cache(), [right.storePath], { engine, trust: trust() });
  visible = [right.storePath];
});

describe("a NAR that does not match its NARInfo", () => {
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

  test("unknown compression, without reading the NAR", async () => {
    const info = await signed({ ...right, compression: "no-such-compression" });
    put(info);
    await expectRefused(info.storePath, "invalid");
    expect(readsNar()).toBe(false);
  });

  test("a content address of another store path", async () => {
    put(await signed({ ...right, ca: parseContentAddress(`fixed:r:sha256:${encodeNixbase32(pseudoRandom(32, 4))}`) }));
    await expectRefused(right.storePath, "corrupt");
  });

  test("a content address of other content, without a signature", async () => {
    const ca = parseContentAddress(`fixed:r:sha256:${encodeNixbase32(pseudoRandom(32, 4))}`);
    const storePath = formatStorePath(await storePathFromContentAddress("tree", ca));
    put({ ...right, storePath, ca, signatures: [] });
    await expectRefused(storePath, "corrupt");
    expect(readsNar()).toBe(true);
    expect(formatContentAddress(ca)).toContain("fixed:r:");
  });
});

describe("a decompression bomb is read up to the declared NarSize", () => {
  const sample = (name: string): Uint8Array =>
    new Uint8Array(readFileSync(join(import.meta.dirname, "../compression/samples", name)));
  async function* narOfZeros(): AsyncGenerator<Uint8Array> {
    yield Buffer.from(gunzipped());
    yield* endless(new Uint8Array(1024 * 1024));
  }
  /** The start of the NAR of a large file. */
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
    // The decoder waits until it has as many bytes as the largest possible block.
    ["bzip2", () => followed("bzip2"), 3_000_000],
  ])("in %s", async (compression, body, limit) => {
    const { fileHash: _hash, fileSize: _size, ...rest } = right;
    put(await signed({ ...rest, compression, narSize: 1_000_000 }), () => pulled(body()));
    await expectRefused(right.storePath, "corrupt");
    expect(taken).toBeGreaterThan(0);
    // Both ways of reading together.
    expect(taken).toBeLessThan(2 * limit);
  });

  test("a compressed NAR that is cut short", async () => {
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

  test("an invalid signature", async () => {
    files.set(`${parseHashPart(right.storePath)}.narinfo`, () => formatNarInfo(right).replace(/^Sig: .*$/m, "Sig: test-1:AAAA"));
    await expectRefused(right.storePath, "denied");
    files.set(`${parseHashPart(right.storePath)}.narinfo`, () => formatNarInfo(right).replace(/^Sig: .*$/m, "Sig: test-1"));
    await expectRefused(right.storePath, "invalid");
  });

  test("but a right signature next to an invalid one, or without padding, is trusted", async () => {
    const text = formatNarInfo(right);
    put(right);
    for (const changed of [
      text.replace(/^Sig: /m, "Sig: test-1:AAAA\n$&"),
      text.replace(/^(Sig: .*)==$/m, "$1"),
      text.replace(/^Sig: .*$/m, "$&\r"),
    ]) {
      expect(changed).not.toBe(text);
      files.set(`${parseHashPart(right.storePath)}.narinfo`, () => changed);
      const target = createMemoryStore();
      await substitutePaths(target, cache(), [right.storePath], { engine, trust: trust() });
      expect((await target.pathInfos.get(parseHashPart(right.storePath)))?.signatures).toEqual(
        right.signatures.map(formatSignature),
      );
    }
  });

  test("the NARInfo of another path, although it is signed", async () => {
    const other = await signed({ ...right, storePath: formatStorePath({ digest: pseudoRandom(20, 10), name: "tree" }) });
    files.set(`${parseHashPart(right.storePath)}.narinfo`, () => formatNarInfo(other));
    await expectRefused(right.storePath, "corrupt");
    expect(readsNar()).toBe(false);
  });
});

describe("a body without an end", () => {
  test("as a NARInfo", async () => {
    files.set(`${parseHashPart(right.storePath)}.narinfo`, () => pulled(endless(utf8("Unknown: x\n".repeat(1000)))));
    await expectRefused(right.storePath, "invalid");
    expect(taken).toBeLessThan(3_000_000);
  });

  test("as nix-cache-info", async () => {
    files.set("nix-cache-info", () => pulled(endless(utf8("Unknown: x\n".repeat(1000)))));
    await expect(cache().info()).rejects.toMatchObject({ name: "StoreError", code: "invalid" });
    expect(taken).toBeLessThan(200_000);
  });

  test("as a NAR file with a declared size", async () => {
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

  test("to a path that the cache lacks", async () => {
    await putAll([[1], [2]]);
    await expect(substitute()).rejects.toMatchObject({ name: "StoreError", code: "not-found" });
    expect(readsNar()).toBe(false);
  });

  test("to an unsigned path", async () => {
    await putAll([[1], []]);
    put({ ...(await part(1, [])), signatures: [] });
    await expect(substitute()).rejects.toMatchObject({ name: "StoreError", code: "denied" });
    expect(readsNar()).toBe(false);
  });

  test("to a path that breaks off: the paths that refer to it stay invisible", async () => {
    await putAll([[1], [2], []]);
    put({ ...(await part(1, [2])), url: "nar/other.nar" }, () => nar.slice(0, 100) as Uint8Array<ArrayBuffer>);
    await expect(substitute()).rejects.toMatchObject({ name: "StoreError", code: "corrupt" });
    // The innermost path is complete, and may have come before the other failed.
    visible = (await store.pathInfos.get(parseHashPart(baseName(2)))) ? [`/nix/store/${baseName(2)}`] : [];
  });

  test("to the path itself are accepted, and so is a long chain", async () => {
    await putAll(Array.from({ length: 400 }, (_, i) => (i < 399 ? [i, i + 1] : [i])));
    const { paths } = await substitutePaths(store, cache(), [baseName(0)], { engine, trust: trust() });
    expect(paths).toBe(400);
    visible = Array.from({ length: 400 }, (_, i) => `/nix/store/${baseName(i)}`).sort();
  });

  test("to too many paths", async () => {
    // Each of 20 paths refers to 19,000 others.
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
