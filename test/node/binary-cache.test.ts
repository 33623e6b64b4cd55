import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { request } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import { connect } from "node:net";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { crc32, gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createMemoryStore } from "../../src/backends/memory.ts";
import { concatBytes, EMPTY_BYTES, toBase64Url, utf8 } from "../../src/bytes.ts";
import type { Digest } from "../../src/castore/digest.ts";
import { encodeNode } from "../../src/castore/directory-codec.ts";
import type { Node } from "../../src/castore/node.ts";
import { type Compression, decompressedAs } from "../../src/compression/decompress.ts";
import { StoreError } from "../../src/error.ts";
import { generateSecretKey, verify } from "../../src/nix/ed25519.ts";
import { fingerprint } from "../../src/nix/fingerprint.ts";
import { formatNix32 } from "../../src/nix/hash.ts";
import { publicKeyOf } from "../../src/nix/key.ts";
import { NarWriter } from "../../src/nix/nar-writer.ts";
import { formatNarInfo, parseNarInfo } from "../../src/nix/narinfo.ts";
import type { BinaryCacheOptions } from "../../src/node/binary-cache/binary-cache.ts";
import { compressedAs } from "../../src/node/binary-cache/encode.ts";
import { CacheUploads, memoryRecords } from "../../src/node/binary-cache/uploads.ts";
import { xzStored } from "../../src/node/binary-cache/xz-stored.ts";
import { compressZstd } from "../../src/node/zstd.ts";
import { parseEntryPath, resolvePath } from "../../src/store/list.ts";
import type { PathInfo } from "../../src/store/path-info.ts";
import type { StoreServices } from "../../src/store/services.ts";
import { signing } from "../../src/store/signing.ts";
import { iterate } from "../../src/stream.ts";
import { engine, HELLO, narInfoOf, narOf, nixHash, once1, SAMPLE, SOURCE, TestCache, whole } from "./test-cache.ts";

let store: StoreServices;
let cache: TestCache;

async function start(options: Partial<BinaryCacheOptions> = {}): Promise<void> {
  cache.store = store;
  await cache.start(options);
}

beforeEach(async () => {
  cache = new TestCache();
  store = cache.store;
  await start();
});
afterEach(() => cache.close());

const ask: TestCache["ask"] = (...request) => cache.ask(...request);
const addHello = (): Promise<PathInfo> => cache.addHello();
const paths = (): Promise<string[]> => cache.paths();

async function readFileOf(hashPart: string, path: string): Promise<Uint8Array> {
  const info = await store.pathInfos.get(hashPart);
  const node = info && (await resolvePath(store, info.node, parseEntryPath(path)));
  const stream = node?.kind === "file" ? await store.blobs.open(node.digest) : undefined;
  if (!stream) throw new Error(`no file at ${path}`);
  return whole(iterate(stream));
}

describe("reading", () => {
  test("nix-cache-info shows the options of the cache", async () => {
    const { status, body } = await ask("GET", "/nix-cache-info");
    expect([status, body.toString()]).toEqual([200, "StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 30\n"]);
    await start({ priority: 7, storeDir: "/opt/store" });
    expect((await ask("GET", "/nix-cache-info")).body.toString()).toBe("StoreDir: /opt/store\nWantMassQuery: 1\nPriority: 7\n");
  });

  test("a NARInfo leads to its NAR", async () => {
    await addHello();
    const { status, headers, body } = await ask("GET", `/${HELLO}.narinfo`);
    expect(status).toBe(200);
    expect(headers["content-type"]).toBe("text/x-nix-narinfo");
    const info = parseNarInfo(body.toString());
    expect({ ...info, url: "", compression: "" }).toEqual({
      ...parseNarInfo(narInfoOf(HELLO)),
      url: "",
      compression: "",
      // The file is the NAR itself, uncompressed.
      fileHash: info.narHash,
      fileSize: info.narSize,
    });
    const head = await ask("HEAD", `/${HELLO}.narinfo`);
    expect([head.status, head.headers["content-length"], head.body.length]).toEqual([200, String(body.length), 0]);

    const nar = await ask("GET", `/${info.url}`);
    expect(nar.status).toBe(200);
    expect(nar.headers["cache-control"]).toBe("public, max-age=31536000, immutable");
    expect(Buffer.compare(nar.body, narOf(HELLO))).toBe(0);
    const narHead = await ask("HEAD", `/${info.url}`);
    expect([narHead.status, narHead.headers["content-length"]]).toEqual([200, String(info.narSize)]);
    expect((await ask("GET", `/${info.url}`, { headers: { "if-none-match": String(nar.headers.etag) } })).status).toBe(304);
    expect((await ask("GET", `/${info.url.replace("tvix-", "snix-")}`)).body.equals(nar.body)).toBe(true);
    await start({ narUrls: "snix-castore" });
    expect((await ask("GET", `/${HELLO}.narinfo`)).body.toString()).toContain("\nURL: nar/snix-castore/");
  });

  test("any range of a NAR equals that part of the whole", async () => {
    const info = await addHello();
    const nar = narOf(HELLO);
    const url = `/${parseNarInfo((await ask("GET", `/${HELLO}.narinfo`)).body.toString()).url}`;
    const cases: [range: string, from: number, to: number][] = [
      ["bytes=0-0", 0, 1],
      ["bytes=100-1099", 100, 1100],
      [`bytes=${info.narSize - 1}-`, info.narSize - 1, info.narSize],
      ["bytes=-100", info.narSize - 100, info.narSize],
      ["bytes=5-999999999", 5, info.narSize],
      ["bytes=-999999999", 0, info.narSize],
    ];
    for (const [range, from, to] of cases) {
      const { status, headers, body } = await ask("GET", url, { headers: { range } });
      expect([status, headers["content-range"]]).toEqual([206, `bytes ${from}-${to - 1}/${info.narSize}`]);
      expect(Buffer.compare(body, nar.subarray(from, to))).toBe(0);
    }
    for (const range of ["bytes=0-1,3-4", "lines=1-2", "bytes=9-3", "bytes=-", "bytes=a-b"])
      expect((await ask("GET", url, { headers: { range } })).status).toBe(200);
    for (const range of [`bytes=${info.narSize}-`, "bytes=-0"]) {
      const { status, headers } = await ask("GET", url, { headers: { range } });
      expect([status, headers["content-range"]]).toEqual([416, `bytes */${info.narSize}`]);
    }
  });

  test("a NAR is compressed for local clients only if they refuse uncompressed data", async () => {
    await addHello();
    const url = `/${parseNarInfo((await ask("GET", `/${HELLO}.narinfo`)).body.toString()).url}`;
    const coded = async (accept: string) => ask("GET", url, { headers: { "accept-encoding": accept } });
    expect((await coded("zstd, br, gzip")).headers["content-encoding"]).toBeUndefined();
    for (const [accept, coding] of [
      ["zstd, gzip, identity;q=0", "zstd"],
      ["gzip, *;q=0", "gzip"],
      ["zstd;q=0.1, gzip;q=0.5, identity;q=0", "gzip"],
    ] as const) {
      const { headers, body } = await coded(accept);
      expect(headers["content-encoding"]).toBe(coding);
      expect(headers.vary).toMatch(/Accept-Encoding/);
      expect(Buffer.compare(await whole(decompressedAs(once1(body), coding)), narOf(HELLO))).toBe(0);
    }
  });

  test("a range is served only if its encoding matches If-Range", async () => {
    await addHello();
    const nar = narOf(HELLO);
    const url = `/${parseNarInfo((await ask("GET", `/${HELLO}.narinfo`)).body.toString()).url}`;
    const gzip = { "accept-encoding": "gzip, identity;q=0" };
    const [plain, encoded] = [await ask("HEAD", url), await ask("GET", url, { headers: gzip })];
    expect(encoded.headers["content-encoding"]).toBe("gzip");
    const go = (etag: string | undefined) => ask("GET", url, { headers: { range: "bytes=8-", "if-range": String(etag) } });
    expect((await go(plain.headers.etag)).status).toBe(206);
    const whole = await go(encoded.headers.etag);
    expect([whole.status, whole.body.length]).toEqual([200, nar.length]);
  });

  test.each(["none", "zstd"])("a NAR that breaks off is an error over HTTP/2, compressed with %s", async (compression) => {
    const large = new Uint8Array(3 << 20).map((_, i) => (i * 2654435761) >>> 13);
    const parts: Uint8Array[] = [];
    const writer = new NarWriter((piece) => parts.push(piece.slice()));
    writer.file(large.length, false);
    writer.content(large);
    writer.endFile();
    writer.end();
    const nar = concatBytes(parts);
    const suffix = compression === "zstd" ? ".zst" : "";
    const body = suffix ? compressZstd(nar) : nar;
    const path = `/nar/${nixHash(body)}.nar${suffix}`;
    expect((await ask("PUT", path, { body })).status).toBe(201);
    const { open } = store.blobs;
    // Reads of the blob fail before its end.
    store.blobs.open = async (digest, options) => {
      const stream = await open.call(store.blobs, digest, options);
      let left = 2 << 20;
      return stream?.pipeThrough(
        new TransformStream<Uint8Array, Uint8Array>({
          transform(piece, controller) {
            left -= piece.length;
            if (left < 0) controller.error(new StoreError("corrupt", "a chunk is missing"));
            else controller.enqueue(piece);
          },
        }),
      );
    };
    const session = connectHttp2(cache.address);
    const stream = session.request({ ":path": path });
    stream.resume();
    await expect(once(stream, "end")).rejects.toThrow();
    session.destroy();
  });

  test("invalid addresses get an error status", async () => {
    const info = await addHello();
    const node = toBase64Url(encodeNode(EMPTY_BYTES, info.node));
    const unknown = toBase64Url(
      encodeNode(EMPTY_BYTES, { kind: "file", digest: new Uint8Array(32).fill(7) as never, size: 1n, executable: false }),
    );
    const long = toBase64Url(new Uint8Array(4102));
    const statuses: [path: string, status: number][] = [
      [`/${"0".repeat(32)}.narinfo`, 404],
      [`/${"0".repeat(32)}.ls`, 404],
      [`/${"e".repeat(32)}.narinfo`, 418],
      ["/nar/x", 418],
      [`/nar/${"0".repeat(52)}.nar.lzo`, 418],
      [`/nar/${"0".repeat(52)}.nar.xz`, 404],
      [`/nar/tvix-castore/${node}`, 400],
      [`/nar/tvix-castore/${node}?narsize=`, 400],
      [`/nar/tvix-castore/${node}?narsize=-1`, 400],
      [`/nar/tvix-castore/${node}?narsize=1e3`, 400],
      [`/nar/tvix-castore/${long}?narsize=1`, 400],
      ["/nar/tvix-castore/?narsize=1", 404],
      ["/nar/tvix-castore/AAAA?narsize=1", 404],
      ["/nar/tvix-castore/%20?narsize=1", 404],
      [`/nar/tvix-castore/${unknown}?narsize=120`, 404],
      [`/nar/tvix-castore/${node}?narsize=${info.narSize + 8}`, 400],
      [`/log/${HELLO}-hello.drv`, 404],
      ["/log/hello.drv", 400],
    ];
    for (const [path, status] of statuses) {
      expect([path, (await ask("GET", path)).status]).toEqual([path, status]);
      expect([path, (await ask("HEAD", path)).status]).toEqual([path, status]);
    }
    expect((await ask("DELETE", `/${HELLO}.narinfo`)).status).toBe(405);
    expect((await ask("POST", "/nix-cache-info")).headers.allow).toBe("GET, HEAD");
  });

  test("a wrong NAR size is refused before any byte is sent, also for ranges", async () => {
    const { narSize, node: root } = await addHello();
    const digest = await store.blobs.putMany([utf8("0123456789"), new Uint8Array(2 << 20).map((_, i) => (i * 2654435761) >>> 13)]);
    const file = (i: number, size: bigint): Node => ({ kind: "file", digest: digest[i] as Digest, size, executable: false });
    const huge = 2n ** 49n;
    const padded = (size: bigint) => Number(112n + ((size + 7n) / 8n) * 8n);
    const cases: [node: Node, size: number, status: number][] = [
      [root, narSize, 200],
      [root, narSize - 8, 400],
      [root, narSize + 8, 400],
      [root, 1, 400],
      [file(0, 10n), padded(10n), 200],
      [file(0, 10n), padded(10n) + 8, 400],
      // These sizes match the node, but the node's own size is wrong.
      ...[0n, 9n, 11n, 10_000_000n, huge].map((size): [Node, number, number] => [file(0, size), padded(size), 400]),
      [file(1, 2n << 20n), padded(2n << 20n), 200],
      ...[0n, 10n, 1n << 20n, (2n << 20n) - 1n, huge].map((size): [Node, number, number] => [file(1, size), padded(size), 400]),
      [{ kind: "symlink", target: utf8("x") }, 120, 200],
      [{ kind: "symlink", target: utf8("x".repeat(4095)) }, 4208, 200],
      [{ kind: "symlink", target: utf8("x") }, 112, 400],
    ];
    for (const [node, size, status] of cases) {
      const url = `/nar/tvix-castore/${toBase64Url(encodeNode(EMPTY_BYTES, node))}?narsize=${size}`;
      // The second time, the server knows the NAR's size from its memory.
      for (let i = 0; i < 2; i++) {
        const got = [
          (await ask("HEAD", url)).status,
          (await ask("GET", url)).status,
          (await ask("GET", url, { headers: { range: "bytes=0-0" } })).status,
          (await ask("GET", url, { headers: { range: `bytes=${size - 1}-` } })).status,
        ];
        expect([node.kind, size, ...got]).toEqual([
          node.kind,
          size,
          ...(status === 200 ? [200, 200, 206, 206] : Array(4).fill(400)),
        ]);
      }
    }
  });

  test("a NAR whose root directory is missing is not found, although its size is known", async () => {
    const info = await addHello();
    const url = `/${parseNarInfo((await ask("GET", `/${HELLO}.narinfo`)).body.toString()).url}`;
    expect((await ask("HEAD", url)).status).toBe(200);
    const { get } = store.directories;
    store.directories.get = async () => undefined;
    expect([info.node.kind, (await ask("HEAD", url)).status]).toEqual(["directory", 404]);
    store.directories.get = get;
  });

  test("a listing has the offsets of the NAR", async () => {
    await addHello();
    const { status, body } = await ask("GET", `/${HELLO}.ls`);
    expect(status).toBe(200);
    const { version, root } = JSON.parse(body.toString());
    expect([version, root.type]).toEqual([1, "directory"]);
    const [name, entry] = Object.entries<{ narOffset: number; size: number }>(root.entries.bin.entries)[0] ?? [];
    const content = narOf(HELLO).subarray(entry?.narOffset, (entry?.narOffset ?? 0) + (entry?.size ?? 0));
    const file = await readFileOf(HELLO, `bin/${name}`);
    expect(Buffer.compare(content, file)).toBe(0);
  });

  test("HTTP/2 works too", async () => {
    await addHello();
    const session = connectHttp2(cache.address);
    const stream = session.request({ ":path": `/${parseNarInfo((await ask("GET", `/${HELLO}.narinfo`)).body.toString()).url}` });
    expect(Buffer.compare(await buffer(stream), narOf(HELLO))).toBe(0);
    session.close();
  });
});

/**
 * Changes the first block of an xz file, so that it asks for a dictionary of 64 MiB. Eight of these
 * take all the memory for decoders.
 */
function withDictionaryOf64MiB(xz: Buffer): Buffer {
  const changed = Buffer.from(xz);
  changed[16] = 28;
  changed.writeUInt32LE(crc32(changed.subarray(12, 20)), 20);
  return changed;
}

describe("writing", () => {
  const COMPRESSIONS: [suffix: string, Compression][] = [
    ["", "none"],
    ["", "gzip"],
    [".gz", "gzip"],
    [".xz", "xz"],
    [".zst", "zstd"],
  ];

  test.each(COMPRESSIONS)(
    "a NAR uploaded as .nar%s (%s) becomes a path, and can be downloaded under its name",
    async (suffix, compression) => {
      const file = await whole(compressedAs(once1(narOf(HELLO)), compression));
      const name = `/nar/${nixHash(file)}.nar${suffix}`;
      expect((await ask("HEAD", name)).status).toBe(404);
      expect((await ask("PUT", name, { body: file })).status).toBe(201);
      expect(await paths()).toEqual([]);
      expect((await ask("HEAD", name)).status).toBe(200);
      expect((await ask("PUT", `/${HELLO}.narinfo`, { body: narInfoOf(HELLO) })).status).toBe(201);
      const info = await store.pathInfos.get(HELLO);
      expect(info?.signatures).toEqual([expect.stringContaining("tvix-store-web-sample-1:")]);
      const got = await ask("GET", name);
      expect(Buffer.compare(await whole(decompressedAs(once1(got.body), compression)), narOf(HELLO))).toBe(0);
    },
  );

  test("a NAR in a compression that the daemon can't write is kept as uploaded, also without a suffix", async () => {
    const folder = join(import.meta.dirname, "../fixtures/compressed/bzip2");
    const [narInfo = ""] = readdirSync(folder).filter((name) => name.endsWith(".narinfo"));
    const { url } = parseNarInfo(readFileSync(join(folder, narInfo), "utf8"));
    const file = readFileSync(join(folder, url));
    for (const suffix of [".bz2", ""]) {
      const name = `/nar/${nixHash(file)}.nar${suffix}`;
      // The first piece is too short to tell how the NAR is compressed.
      const sent = request(`${cache.address}${name}`, { method: "PUT" });
      for (const piece of [file.subarray(0, 1), file.subarray(1, 7), file.subarray(7, 5000), file.subarray(5000)]) {
        sent.write(piece);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      sent.end();
      const [response] = await once(sent, "response");
      expect(response.resume().statusCode).toBe(201);
      const got = await ask("GET", name);
      expect([got.status, got.body.equals(file)]).toEqual([200, true]);
    }
  });

  test("a NAR whose content is gone makes no path", async () => {
    const uploads = new CacheUploads(memoryRecords());
    await start({ uploads });
    const file = narOf(HELLO);
    await ask("PUT", `/nar/${nixHash(file)}.nar`, { body: file });
    store = createMemoryStore(engine);
    await start({ uploads });
    expect((await ask("HEAD", `/nar/${nixHash(file)}.nar`)).status).toBe(404);
    expect((await ask("PUT", `/${HELLO}.narinfo`, { body: narInfoOf(HELLO) })).status).toBe(409);
    expect(await paths()).toEqual([]);
  });

  test("a path with another signature needs no second NAR", async () => {
    await addHello();
    const info = parseNarInfo(narInfoOf(HELLO));
    const other = { name: "other-1", data: new Uint8Array(64).fill(1) };
    const text = formatNarInfo({ ...info, signatures: [...info.signatures, other] });
    expect((await ask("PUT", `/${HELLO}.narinfo`, { body: text })).status).toBe(201);
    expect((await store.pathInfos.get(HELLO))?.signatures.length).toBe(2);
  });

  test("signatures are refused before the NARInfo becomes too long to read", async () => {
    const nar = narOf(HELLO);
    await ask("PUT", `/nar/${nixHash(nar)}.nar`, { body: nar });
    const put = (from: number, count: number) => {
      const lines = Array.from({ length: count }, (_, i) => `Sig: key-${from + i}:${"A".repeat(86)}==\n`);
      return ask("PUT", `/${HELLO}.narinfo`, { body: narInfoOf(HELLO) + lines.join("") });
    };
    expect((await put(0, 2000)).status).toBe(201);
    const statuses: number[] = [];
    for (let i = 1; i < 8; i++) statuses.push((await put(i * 2000, 2000)).status);
    expect(statuses.at(-1)).toBe(400);
    const { status, body } = await ask("GET", `/${HELLO}.narinfo`);
    expect(status).toBe(200);
    expect(parseNarInfo(body.toString()).signatures.length).toBeGreaterThan(2000);
    // Signatures that the path already has may be put again.
    expect((await put(0, 2000)).status).toBe(201);
  });

  test("a key signs each path that is put", async () => {
    const key = await generateSecretKey("ours-1");
    store = { ...store, pathInfos: signing(store.pathInfos, [key]) };
    await start();
    const file = narOf(HELLO);
    await ask("PUT", `/nar/${nixHash(file)}.nar`, { body: file });
    await ask("PUT", `/${HELLO}.narinfo`, { body: narInfoOf(HELLO) });
    await ask("PUT", `/${HELLO}.narinfo`, { body: narInfoOf(HELLO) });
    const info = parseNarInfo((await ask("GET", `/${HELLO}.narinfo`)).body.toString());
    const [, ours, ...more] = info.signatures;
    expect(more).toEqual([]);
    expect(ours && (await verify(ours, fingerprint(info), [publicKeyOf(key)]))).toBe(true);
  });

  test("paths and signatures of another store directory are read and written", async () => {
    const storeDir = "/opt/store";
    const key = await generateSecretKey("ours-1");
    store = { ...store, pathInfos: signing(store.pathInfos, [key], storeDir) };
    await start({ storeDir });
    const file = narOf(HELLO);
    await ask("PUT", `/nar/${nixHash(file)}.nar`, { body: file });
    expect((await ask("PUT", `/${HELLO}.narinfo`, { body: narInfoOf(HELLO) })).status).toBe(400);
    const text = narInfoOf(HELLO).replace("/nix/store/", `${storeDir}/`);
    expect((await ask("PUT", `/${HELLO}.narinfo`, { body: text })).status).toBe(201);
    const info = parseNarInfo((await ask("GET", `/${HELLO}.narinfo`)).body.toString(), storeDir);
    expect(info.storePath).toMatch(/^\/opt\/store\//);
    const ours = info.signatures.find(({ name }) => name === "ours-1");
    expect(ours && (await verify(ours, fingerprint(info, storeDir), [publicKeyOf(key)]))).toBe(true);
    // The content address of the source gives its path in /nix/store only.
    const source = narOf(SOURCE);
    await ask("PUT", `/nar/${nixHash(source)}.nar`, { body: source });
    const moved = narInfoOf(SOURCE).replace("/nix/store/", `${storeDir}/`);
    expect((await ask("PUT", `/${SOURCE}.narinfo`, { body: moved })).status).toBe(400);
  });

  test("a NAR that does not match its name leaves nothing", async () => {
    const nar = narOf(HELLO);
    const half = nar.subarray(0, nar.length / 2);
    const zeros = gzipSync(Buffer.alloc(1 << 20));
    const bad: [name: string, body: Uint8Array][] = [
      [`${nixHash(nar)}.nar`, half],
      [`${nixHash(half)}.nar`, half],
      [`${nixHash(gzipSync(half))}.nar.gz`, gzipSync(half)],
      [`${nixHash(half)}.nar.xz`, half],
      [`${nixHash(zeros)}.nar`, zeros],
      [`${"0".repeat(52)}.nar`, nar],
      [`${nixHash(concatBytes([nar, nar]))}.nar`, concatBytes([nar, nar])],
      [`${nixHash(EMPTY_BYTES)}.nar`, EMPTY_BYTES],
    ];
    for (const [name, body] of bad) {
      const { status, body: reason } = await ask("PUT", `/nar/${name}`, { body });
      expect([name, status]).toEqual([name, 400]);
      expect(reason.toString()).toMatch(/^[^\n]+\n$/);
      expect((await ask("GET", `/nar/${name}`)).status).toBe(404);
    }
    expect((await ask("PUT", `/${HELLO}.narinfo`, { body: narInfoOf(HELLO) })).status).toBe(409);
    expect(await paths()).toEqual([]);
  });

  test("an upload that breaks off leaves nothing, and the server continues", async () => {
    const nar = narOf(HELLO);
    const name = `/nar/${nixHash(nar)}.nar`;
    const socket = connect(Number(new URL(cache.address).port), "127.0.0.1");
    socket.write(`PUT ${name} HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${nar.length}\r\n\r\n`);
    socket.write(nar.subarray(0, nar.length - 8));
    await new Promise((resolve) => setTimeout(resolve, 100));
    socket.destroy();
    await once(socket, "close");
    // Everything has arrived except the end.
    const session = connectHttp2(cache.address);
    const stream = session.request({ ":method": "PUT", ":path": name });
    stream.on("error", () => {});
    stream.write(nar);
    await new Promise((resolve) => setTimeout(resolve, 100));
    session.destroy();
    await once(stream, "close");
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect((await ask("GET", name)).status).toBe(404);
    expect((await ask("PUT", name, { body: nar })).status).toBe(201);
  });

  test("a stalled upload is cancelled", { timeout: 10_000 }, async () => {
    await start({ bodyTimeout: 200 });
    const nar = narOf(HELLO);
    const name = `/nar/${nixHash(nar)}.nar`;
    const socket = connect(Number(new URL(cache.address).port), "127.0.0.1");
    socket.on("error", () => {});
    socket.resume();
    socket.write(`PUT ${name} HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${nar.length}\r\n\r\n`);
    socket.write(nar.subarray(0, 8));
    await once(socket, "close");

    const session = connectHttp2(cache.address);
    const stream = session.request({ ":method": "PUT", ":path": name });
    stream.on("error", () => {});
    stream.write(nar.subarray(0, 8));
    await new Promise((resolve) => stream.once("close", resolve));
    session.destroy();
    // A slow upload is not cancelled.
    const slow = request(`${cache.address}${name}`, { method: "PUT" });
    for (let at = 0; at < nar.length; at += Math.ceil(nar.length / 5)) {
      slow.write(nar.subarray(at, at + Math.ceil(nar.length / 5)));
      await new Promise((resolve) => setTimeout(resolve, 80));
    }
    slow.end();
    const [response] = await once(slow, "response");
    expect(response.resume().statusCode).toBe(201);
  });

  test("eight stalled xz uploads delay a ninth by ten seconds", { timeout: 40_000 }, async () => {
    await start();
    const parts: Uint8Array[] = [];
    for await (const part of xzStored(once1(narOf(HELLO)))) parts.push(part);
    const xz = withDictionaryOf64MiB(Buffer.concat(parts));
    const url = `${cache.address}/nar/${nixHash(xz)}.nar.xz`;
    const answers: number[] = [];
    const slow = Array.from({ length: 8 }, () => {
      const put = request(url, { method: "PUT" });
      put.on("response", (response) => {
        answers.push(response.resume().statusCode ?? 0);
      });
      put.on("error", () => {});
      put.write(xz.subarray(0, 30));
      return put;
    });
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect((await ask("PUT", new URL(url).pathname, { body: xz })).status).toBe(201);
    expect(answers).toEqual([503]);
    // The other uploads continue, and the refused client may send the rest of its data.
    const closed = slow.map((put) => once(put, "close"));
    for (const put of slow) put.end(xz.subarray(30));
    await Promise.all(closed);
    expect(answers).toEqual([503, ...Array(7).fill(201)]);
  });

  test("a refused upload gets an answer of one line that gives the reason", async () => {
    const nar = narOf(HELLO);
    for (const [path, status] of [
      [`/nar/${nixHash(nar)}.nar.lzo`, 400],
      [`/nar/${nixHash(nar)}.nar.xz.gz`, 400],
      ["/nar/hello.nar", 400],
      ["/debuginfo/xyz.debug", 400],
      ["/realisations/x", 400],
      [`/build-trace-v2/${HELLO}-hello.drv`, 400],
    ] as const) {
      const { status: actual, body } = await ask("PUT", path, { body: nar });
      expect([path, actual]).toEqual([path, status]);
      expect(body.toString()).toMatch(/^[^\n]+\n$/);
      // The cache does not answer for this address, so another handler may.
      expect((await ask("HEAD", path)).status).toBe(418);
    }
  });

  test("an uploaded listing is accepted and discarded", async () => {
    // The bytes are random. If they had to be text, the server would have to keep and check them.
    for (const coding of ["identity", "gzip", "br", "nonsense"]) {
      const headers = { "content-encoding": coding };
      expect((await ask("PUT", `/${HELLO}.ls`, { headers, body: Uint8Array.of(0xff, 0xfe) })).status).toBe(201);
    }
  });

  test("a NARInfo that does not match its NAR, or breaks a rule, is refused", async () => {
    const nar = narOf(HELLO);
    await ask("PUT", `/nar/${nixHash(nar)}.nar`, { body: nar });
    const source = narOf(SOURCE);
    await ask("PUT", `/nar/${nixHash(source)}.nar`, { body: source });
    const text = narInfoOf(HELLO);
    const sourceText = narInfoOf(SOURCE);
    const other = parseNarInfo(sourceText);
    const bad: [hashPart: string, text: string, status: number][] = [
      ["0".repeat(32), text, 400],
      [HELLO, text.replace(/NarSize: \d+/, "NarSize: 1"), 400],
      [HELLO, text.replace(/NarHash: .*/, `NarHash: sha256:${"0".repeat(52)}`), 409],
      [HELLO, text.replace(/^StorePath.*\n/, ""), 400],
      [HELLO, `${text}Sig: nonsense\n`, 400],
      [HELLO, text.slice(0, -1), 400],
      [HELLO, "x".repeat(2 << 20), 400],
      // The content address of the source gives a different path.
      [
        HELLO,
        `${text.replace(/NarHash: .*/, `NarHash: ${formatNix32(other.narHash)}`).replace(/NarSize: \d+/, `NarSize: ${other.narSize}`)}CA: fixed:r:${formatNix32(other.narHash)}\n`,
        400,
      ],
      [SOURCE, sourceText.replace(/CA: .*/, `CA: fixed:r:sha256:${"0".repeat(52)}`), 400],
    ];
    for (const [hashPart, body, status] of bad) {
      expect([body.slice(0, 400), (await ask("PUT", `/${hashPart}.narinfo`, { body })).status]).toEqual([
        body.slice(0, 400),
        status,
      ]);
      expect((await ask("GET", `/${hashPart}.narinfo`)).status).toBe(404);
    }
    expect(await paths()).toEqual([]);
    // This NARInfo belongs to a path that exists with different content.
    await ask("PUT", `/${HELLO}.narinfo`, { body: text });
    const changed = text
      .replace(/NarHash: .*/, `NarHash: ${formatNix32(other.narHash)}`)
      .replace(/NarSize: \d+/, `NarSize: ${other.narSize}`);
    expect((await ask("PUT", `/${HELLO}.narinfo`, { body: changed })).status).toBe(409);
  });

  test("an endless body is not read to the end", { timeout: 30_000 }, async () => {
    const sent = request(`${cache.address}/${HELLO}.narinfo`, { method: "PUT" });
    let isOpen = true;
    sent.on("error", () => {
      isOpen = false;
    });
    sent.on("close", () => {
      isOpen = false;
    });
    const status = new Promise((resolve) => sent.once("response", (response) => resolve(response.resume().statusCode)));
    const piece = Buffer.alloc(1 << 20, "x");
    for (let i = 0; i < 600 && isOpen; i++) await new Promise<void>((resolve) => sent.write(piece, () => resolve()));
    expect(isOpen).toBe(false);
    expect(await Promise.race([status, new Promise((resolve) => setTimeout(resolve, 100, "none"))])).toBe(400);
  });

  test("an endless body over HTTP/2 is not read to the end either", { timeout: 30_000 }, async () => {
    const session = connectHttp2(cache.address);
    const stream = session.request({ ":method": "PUT", ":path": `/${HELLO}.narinfo` });
    let isOpen = true;
    stream.on("error", () => {});
    const closed = new Promise<void>((resolve) => {
      stream.once("close", () => {
        isOpen = false;
        resolve();
      });
    });
    stream.resume();
    const status = new Promise((resolve) => stream.once("response", (headers) => resolve(headers[":status"])));
    const piece = Buffer.alloc(1 << 20, "x");
    for (let i = 0; i < 600 && isOpen; i++)
      await Promise.race([new Promise<void>((resolve) => stream.write(piece, () => resolve())), closed]);
    expect(isOpen).toBe(false);
    expect(await status).toBe(400);
    session.destroy();
  });

  test("a read-only cache refuses uploads", async () => {
    await start({ readOnly: true });
    const nar = narOf(HELLO);
    for (const path of [`/nar/${nixHash(nar)}.nar`, `/${HELLO}.narinfo`, `/${HELLO}.ls`, `/log/${HELLO}-hello.drv`])
      expect((await ask("PUT", path, { body: nar })).status).toBe(403);
  });

  test("a build log is kept", async () => {
    const path = `/log/${HELLO}-hello.drv`;
    expect((await ask("PUT", path, { body: "built\n" })).status).toBe(201);
    const { status, headers, body } = await ask("GET", path);
    expect([status, headers["content-length"], body.toString()]).toEqual([200, "6", "built\n"]);
    expect((await ask("PUT", `/log/${HELLO}-hello`, { body: "built\n" })).status).toBe(400);
    // Nix requests a log by the base name. An absolute path is refused.
    const absolute = `/log/${encodeURIComponent(`/nix/store/${HELLO}-hello.drv`)}`;
    for (const method of ["PUT", "GET"]) expect((await ask(method, absolute)).status).toBe(400);
  });
});

test("addresses are percent-decoded", async () => {
  const log = `${HELLO}-hello+world-1.0?x.drv`;
  const encoded = `/log/${encodeURIComponent(log)}`;
  expect(encoded).toContain("%2B");
  expect((await ask("PUT", encoded, { body: "built\n" })).status).toBe(201);
  // Nix does not encode the question mark.
  for (const path of [
    encoded,
    `/%6c%6Fg/${encodeURIComponent(log)}`,
    `/log/${log.replace("?", "%3f")}`,
    `/log/${log}`,
    `${encoded}?x=1`,
  ])
    expect((await ask("GET", path)).body.toString()).toBe("built\n");
  await addHello();
  expect((await ask("GET", `/${HELLO.replace("m", "%6D")}.narinfo`)).status).toBe(200);
  expect((await ask("GET", "/nix%2Dcache%2dinfo")).status).toBe(200);
  // An encoded slash is part of a name. An address is decoded only once.
  for (const path of [`/log%2F${log}`, "/nix%252Dcache-info", "/%ff%fe", "/nix-cache-inf%6", "nix-cache-info"])
    expect([path, (await ask("GET", `/x/..${path}`)).status]).toEqual([path, 418]);
});

test("the whole sample is uploaded and downloaded", async () => {
  const hashParts = readdirSync(SAMPLE).flatMap((name) => (name.endsWith(".narinfo") ? [name.slice(0, 32)] : []));
  expect(hashParts.length).toBeGreaterThan(5);
  for (const hashPart of hashParts) {
    const nar = narOf(hashPart);
    expect((await ask("PUT", `/nar/${nixHash(nar)}.nar`, { body: nar })).status).toBe(201);
    expect((await ask("PUT", `/${hashPart}.narinfo`, { body: narInfoOf(hashPart) })).status).toBe(201);
    const { url } = parseNarInfo((await ask("GET", `/${hashPart}.narinfo`)).body.toString());
    expect(Buffer.compare((await ask("GET", `/${url}`)).body, nar)).toBe(0);
  }
});
