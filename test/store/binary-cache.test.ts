import { gzipSync } from "node:zlib";
import { beforeEach, describe, expect, test } from "vitest";
import { utf8 } from "../../src/bytes.ts";
import type { HashStream } from "../../src/hash/engine.ts";
import { InlineHashEngine } from "../../src/hash/inline-engine.ts";
import { hashBytes } from "../../src/nix/hash-bytes.ts";
import { formatNarInfo, type NarInfo } from "../../src/nix/narinfo.ts";
import { formatStorePath, parseHashPart } from "../../src/nix/store-path.ts";
import { BinaryCache, type NarOptions } from "../../src/store/binary-cache.ts";
import { pseudoRandom } from "../conformance/content.ts";
import { failure } from "./fixtures.ts";

const HOME = "https://cache.test/some/where/";
/** The bytes of a NAR. A cache doesn't parse them. */
const NAR = pseudoRandom(5000, 1);
const NAR_HASH = { algorithm: "sha256", digest: await hashBytes("sha256", NAR) } as const;
const INFO: NarInfo = {
  storePath: formatStorePath({ digest: pseudoRandom(20, 9), name: "tree" }),
  url: "nar/tree.nar",
  compression: "none",
  fileHash: NAR_HASH,
  fileSize: NAR.length,
  narHash: NAR_HASH,
  narSize: NAR.length,
  references: [],
  signatures: [],
};
const NAME = `${parseHashPart(INFO.storePath)}.narinfo`;
const invalid = { name: "StoreError", code: "invalid" };
const corrupt = { name: "StoreError", code: "corrupt" };

type Body = ConstructorParameters<typeof Response>[0];

/** Answers by the address below the cache's, or by the whole address. */
let files: Map<string, () => Body>;
let asked: string[];
/** Signals of all requests. */
let signals: (AbortSignal | null | undefined)[];
beforeEach(() => {
  files = new Map();
  asked = [];
  signals = [];
});

function cache(url = HOME): BinaryCache {
  return new BinaryCache(url, {
    retry: { delay: 1 },
    fetch: async (address, init) => {
      const path = String(address).replace(HOME, "");
      asked.push(path);
      signals.push(init?.signal);
      const body = files.get(path);
      return body ? new Response(body()) : new Response("", { status: 404 });
    },
  });
}

/** An engine that counts its hashes, and those that ended without a result. */
class Engine extends InlineHashEngine {
  hashes = 0;
  aborted = 0;
  override async stream(...args: Parameters<InlineHashEngine["stream"]>): Promise<HashStream> {
    this.hashes++;
    const stream = await super.stream(...args);
    const abort = (): void => {
      this.aborted++;
      stream.abort();
    };
    return { ...stream, abort };
  }
}

let engine: Engine;
beforeEach(() => {
  engine = new Engine();
});

async function nar(info: NarInfo, body: () => Body = () => NAR as Uint8Array<ArrayBuffer>, options?: NarOptions): Promise<Buffer> {
  files.set(info.url, body);
  const parts: Uint8Array[] = [];
  for await (const part of cache().nar(info, engine, options)) parts.push(part);
  return Buffer.concat(parts);
}

/** A body that is made while it is read; `taken` counts its bytes. */
let taken = 0;
function endless(piece: Uint8Array): ReadableStream<Uint8Array> {
  taken = 0;
  return new ReadableStream(
    {
      pull(controller) {
        taken += piece.length;
        controller.enqueue(piece.slice());
      },
    },
    { highWaterMark: 0 },
  );
}

describe("the address", () => {
  test.each([
    ["http://cache.test", "http://cache.test/"],
    ["https://cache.test/a/b", "https://cache.test/a/b/"],
    ["https://cache.test/a/b/", "https://cache.test/a/b/"],
    ["HTTPS://Cache.test:8080", "https://cache.test:8080/"],
  ])("%s becomes %s", (url, expected) => {
    expect(cache(url).url).toBe(expected);
  });

  test.each([
    "ftp://cache.test",
    "file:///tmp",
    "xhttp://cache.test",
    "cache.test",
    "",
    "https://cache.test?x=y",
    "https://cache.test#x",
    "https://user@cache.test",
    "https://user:secret@cache.test",
    "https://:secret@cache.test",
  ])("%j is refused", (url) => {
    expect(() => new BinaryCache(url)).toThrow(expect.objectContaining(invalid));
  });

  test("is refused with a timeout that is none", () => {
    expect(() => new BinaryCache(HOME, { timeouts: { connect: 0 } })).toThrow(expect.objectContaining(invalid));
  });
});

describe("nix-cache-info", () => {
  const info = (text?: Body) => {
    if (text !== undefined) files.set("nix-cache-info", () => text);
    return cache().info();
  };

  test("is read", async () => {
    const text = "StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 40\n";
    expect(await info(text)).toEqual({ storeDir: "/nix/store", wantMassQuery: true, priority: 40 });
  });

  test.each<[string, Body | undefined, string]>([
    ["of another store directory", "StoreDir: /gnu/store\n", "invalid"],
    ["that is missing", undefined, "not-found"],
    ["that is another file", "<html>", "invalid"],
    ["of 64 KiB and a byte", "x: y\n".repeat(13_108).slice(0, 64 * 1024 + 1), "invalid"],
  ])("%s is refused", async (_, text, code) => {
    expect(await failure(info(text))).toMatchObject({ name: "StoreError", code });
  });

  test("may have 64 KiB, and is read no further", async () => {
    expect(await info("x: y\n".repeat(13_107))).toMatchObject({ storeDir: "/nix/store" });
    expect(await failure(info(endless(utf8("Unknown: x\n".repeat(1000)))))).toMatchObject(invalid);
    expect(taken).toBeLessThan(100_000);
  });
});

describe("a NARInfo", () => {
  const text = formatNarInfo(INFO);
  const put = (body: () => Body): void => void files.set(NAME, body);

  test.each([INFO.storePath, INFO.storePath.slice(11), parseHashPart(INFO.storePath)])("is found by %s", async (path) => {
    put(() => text);
    expect(await cache().narInfo(path)).toEqual({ text, info: INFO });
    expect(asked).toEqual([NAME]);
  });

  test("that is compressed is decoded", async () => {
    put(() => gzipSync(text) as Uint8Array<ArrayBuffer>);
    expect(await cache().narInfo(INFO.storePath)).toEqual({ text, info: INFO });
  });

  test("that is missing is undefined", async () => {
    expect(await cache().narInfo(INFO.storePath)).toBeUndefined();
  });

  test("of another path is corrupt", async () => {
    const other = formatStorePath({ digest: pseudoRandom(20, 10), name: "tree" });
    put(() => formatNarInfo({ ...INFO, storePath: other }));
    expect(await failure(cache().narInfo(INFO.storePath))).toMatchObject(corrupt);
  });

  test.each<[string, () => Body]>([
    ["malformed", () => "StorePath"],
    ["not UTF-8", () => Uint8Array.of(0xff)],
    ["longer than a MiB", () => `${text}${"X: y\n".repeat(300_000)}`],
    ["a decompression bomb", () => gzipSync(Buffer.alloc(5_000_000, "x")) as Uint8Array<ArrayBuffer>],
    ["endless", () => endless(utf8("Unknown: x\n".repeat(1000)))],
  ])("that is %s is invalid", async (_, body) => {
    taken = 0;
    put(body);
    expect(await failure(cache().narInfo(INFO.storePath))).toMatchObject(invalid);
    expect(taken).toBeLessThan(1_100_000);
  });

  test("of a path that is none is invalid, without a request", async () => {
    expect(await failure(cache().narInfo("/etc/passwd"))).toMatchObject(invalid);
    expect(asked).toEqual([]);
  });

  test("is requested with the signal of the caller", async () => {
    const reason = new Error("enough");
    expect(await failure(cache().narInfo(INFO.storePath, { signal: AbortSignal.abort(reason) }))).toBe(reason);
  });
});

describe("a URL", () => {
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

    "",
    ".",
    "nar/./%2e%2e%2f%2e%2e/x",
  ])("%j, which leads out of the cache or to the cache itself, is refused", async (url) => {
    const info = { ...INFO, url };
    expect(await failure(nar(info))).toMatchObject(invalid);
    expect(asked).toEqual([]);
    if (url === "") return;
    files.set(NAME, () => formatNarInfo(info));
    expect(await failure(cache().narInfo(INFO.storePath))).toMatchObject(invalid);
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
  ])("%j, which stays in the cache, is requested as %j", async (url, path) => {
    files.set(path, () => NAR as Uint8Array<ArrayBuffer>);
    files.set(NAME, () => formatNarInfo({ ...INFO, url }));
    const found = await cache().narInfo(INFO.storePath);
    expect(found?.info.url).toBe(url);
    expect(await nar({ ...INFO, url }, files.get(path))).toEqual(Buffer.from(NAR));
    expect(asked.at(-1)).toBe(path);
  });
});

describe("a NAR", () => {
  test("is streamed, and its hash is checked", async () => {
    expect(await nar(INFO)).toEqual(Buffer.from(NAR));
    expect([engine.hashes, engine.aborted]).toEqual([1, 0]);
  });

  test("without a hash and a size is streamed", async () => {
    expect(await nar({ ...INFO, fileHash: undefined, fileSize: undefined })).toEqual(Buffer.from(NAR));
    expect(engine.hashes).toBe(0);
  });

  test("that is compressed is decompressed, and the hash is that of the file", async () => {
    const file = new Uint8Array(gzipSync(NAR));
    const fileHash = { algorithm: "sha256", digest: await hashBytes("sha256", file) } as const;
    const info: NarInfo = { ...INFO, compression: "gzip", fileHash, fileSize: file.length };
    expect(await nar(info, () => file)).toEqual(Buffer.from(NAR));
    expect(await failure(nar({ ...info, fileHash: NAR_HASH }, () => file))).toMatchObject(corrupt);
  });

  test.each([undefined, ""])("whose compression is %j is bzip2", async (compression) => {
    // The bzip2 of no bytes.
    const file = Buffer.from("425a683917724538509000000000", "hex");
    const info = { ...INFO, compression, fileHash: undefined, fileSize: undefined };
    expect(await nar(info, () => file as Uint8Array<ArrayBuffer>)).toHaveLength(0);
    expect(await failure(nar(info))).toMatchObject(invalid);
  });

  test("of an unknown compression is not requested", async () => {
    expect(await failure(nar({ ...INFO, compression: "lzop" }))).toMatchObject(invalid);
    expect(asked).toEqual([]);
  });

  test("that is missing is not-found, and ends the hash", async () => {
    const reading = (async () => {
      for await (const _ of cache().nar(INFO, engine));
    })();
    expect(await failure(reading)).toMatchObject({ code: "not-found" });
    expect([engine.hashes, engine.aborted]).toEqual([1, 1]);
  });

  test.each<[string, Partial<NarInfo>, Uint8Array]>([
    ["with another hash", {}, NAR.map((byte) => byte ^ 1)],
    ["that is longer than its FileSize", {}, new Uint8Array(NAR.length + 1)],
    ["that is longer than its FileSize, without a hash", { fileHash: undefined }, new Uint8Array(NAR.length + 1)],
    ["that is shorter than its FileSize", {}, NAR.subarray(0, -1)],
    ["that is shorter than its FileSize, without a hash", { fileHash: undefined }, NAR.subarray(0, -1)],
  ])("%s is corrupt", async (_, change, body) => {
    expect(await failure(nar({ ...INFO, ...change }, () => body as Uint8Array<ArrayBuffer>))).toMatchObject(corrupt);
  });

  test("that has a wrong size ends its hash, one with a wrong hash has ended it", async () => {
    await failure(nar(INFO, () => NAR.slice(1)));
    expect(engine.aborted).toBe(1);
    await failure(nar(INFO, () => new Uint8Array(NAR.length)));
    expect(engine.aborted).toBe(1);
  });

  test("of an unknown size may have a quarter and a MiB more than the NAR, and no more", async () => {
    const info: NarInfo = { ...INFO, fileHash: undefined, fileSize: undefined };
    const limit = (NAR.length / 4) * 5 + 1024 * 1024;
    expect(await nar(info, () => new Uint8Array(limit))).toHaveLength(limit);
    expect(await failure(nar(info, () => new Uint8Array(limit + 1)))).toMatchObject(corrupt);
    expect(await failure(nar(info, () => endless(NAR)))).toMatchObject(corrupt);
    expect(taken).toBeLessThan(limit + 2 * NAR.length);
  });

  test("whose body is cut short is continued, if its size is known", async () => {
    const bodies = [NAR.slice(0, 100), NAR];
    const read = (info: NarInfo) => {
      let next = 0;
      return nar(info, () => bodies[Math.min(next++, 1)] as Uint8Array<ArrayBuffer>);
    };
    for (const info of [INFO, { ...INFO, fileHash: undefined, fileSize: undefined }]) {
      asked = [];
      expect(await read(info)).toEqual(Buffer.from(NAR));
      expect(asked).toHaveLength(2);
    }
    // The size of a compressed file is unknown, so its end is taken as it comes.
    asked = [];
    expect(await failure(read({ ...INFO, compression: "xz", fileHash: undefined, fileSize: undefined }))).toMatchObject(invalid);
    expect(asked).toHaveLength(1);
  });

  test("ends with the reason of an abort", async () => {
    const controller = new AbortController();
    const reason = new Error("enough");
    const reading = (async () => {
      files.set(INFO.url, () => endless(NAR.subarray(0, 10)));
      for await (const _ of cache().nar(INFO, engine, { signal: controller.signal })) controller.abort(reason);
    })();
    expect(await failure(reading)).toBe(reason);
    expect(engine.aborted).toBe(1);
  });
});
