import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { connect } from "node:net";
import { afterEach, expect, test, vi } from "vitest";
import { concatBytes, EMPTY_BYTES, toBase64Url, utf8 } from "../../../src/bytes.ts";
import type { Digest } from "../../../src/castore/digest.ts";
import { makeDirectory } from "../../../src/castore/directory.ts";
import { directoryNode, encodeNode } from "../../../src/castore/directory-codec.ts";
import type { Node } from "../../../src/castore/node.ts";
import { decompressedAs } from "../../../src/compression/decompress.ts";
import { StoreError } from "../../../src/error.ts";
import { MemoryBudget } from "../../../src/memory-budget.ts";
import { NarWriter } from "../../../src/nix/nar-writer.ts";
import { parseNarInfo } from "../../../src/nix/narinfo.ts";
import { DOWNLOAD_MEMORY, Transfer } from "../../../src/node/transfer.ts";
import { compressZstd } from "../../../src/node/zstd.ts";
import { narSize } from "../../../src/store/nar.ts";
import { HELLO, narOf, nixHash, once1, TestCache, whole } from "../test-cache.ts";

const cache = TestCache.forEachTest();
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

const ask: TestCache["ask"] = (...request) => cache.ask(...request);

test("any range of a NAR equals that part of the whole", async () => {
  const info = await cache.addHello();
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
  await cache.addHello();
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
  await cache.addHello();
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
  const { open } = cache.store.blobs;
  // Reads of the blob fail before its end.
  cache.store.blobs.open = async (digest, options) => {
    const stream = await open.call(cache.store.blobs, digest, options);
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

test("a wrong NAR size is refused before any byte is sent, also for ranges", async () => {
  const { narSize, node: root } = await cache.addHello();
  const digest = await cache.store.blobs.putMany([
    utf8("0123456789"),
    new Uint8Array(2 << 20).map((_, i) => (i * 2654435761) >>> 13),
  ]);
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
      expect([node.kind, size, ...got]).toEqual([node.kind, size, ...(status === 200 ? [200, 200, 206, 206] : Array(4).fill(400))]);
    }
  }
});

test("a NAR whose root directory is missing is not found, although its size is known", async () => {
  const info = await cache.addHello();
  const url = `/${parseNarInfo((await ask("GET", `/${HELLO}.narinfo`)).body.toString()).url}`;
  expect((await ask("HEAD", url)).status).toBe(200);
  const { get } = cache.store.directories;
  cache.store.directories.get = async () => undefined;
  expect([info.node.kind, (await ask("HEAD", url)).status]).toEqual(["directory", 404]);
  cache.store.directories.get = get;
});

test("an answer that nobody reads is ended when another one waits for its memory", async () => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "performance"] });
  const [digest] = (await cache.store.blobs.putMany(Array.from({ length: 1 }, () => new Uint8Array(1_000_000)))) as [Digest];
  const link: Node = { kind: "file", digest, size: 1_000_000n, executable: false };
  const wide = makeDirectory(Array.from({ length: 64 }, (_, i) => ({ name: utf8(`${i}`), node: link })));
  await cache.store.directories.put([wide]);
  const node = directoryNode(wide, "documented");
  const size = await narSize(cache.store, node);
  await cache.start({ transfer: { memory: new MemoryBudget(DOWNLOAD_MEMORY) } });
  const path = `/nar/tvix-castore/${toBase64Url(encodeNode(EMPTY_BYTES, node))}?narsize=${size}`;
  const unread = connect(Number(new URL(cache.address).port), "127.0.0.1");
  unread.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  // Only the first bytes are read.
  await once(unread, "readable");
  const reserve = vi.spyOn(MemoryBudget.prototype, "reserve");
  const other = ask("GET", path);
  while (reserve.mock.calls.length === 0) await new Promise((resolve) => setImmediate(resolve));
  vi.advanceTimersByTime(9000);
  for (let i = 0; i < 10; i++) await new Promise((resolve) => setImmediate(resolve));
  expect(reserve.mock.settledResults[0]?.type).toBe("incomplete");
  vi.advanceTimersByTime(2000);
  expect((await other).body.length).toBe(size);
  unread.destroy();
});

test("every answer with the content of a NAR reserves memory, and an answer without content does not", async () => {
  const info = await cache.addHello();
  const nar = narOf(HELLO);
  const zstd = compressZstd(nar);
  const names = [`/nar/${nixHash(nar)}.nar`, `/nar/${nixHash(zstd)}.nar.zst`];
  await ask("PUT", names[0] as string, { body: nar });
  await ask("PUT", names[1] as string, { body: zstd });
  names.push(`/${parseNarInfo((await ask("GET", `/${HELLO}.narinfo`)).body.toString()).url}`);
  expect(info.narSize).toBe(nar.length);
  const reserve = vi.spyOn(Transfer.prototype, "reserve");
  for (const name of names) {
    reserve.mockClear();
    expect((await ask("HEAD", name)).status).toBe(200);
    expect(reserve).not.toHaveBeenCalled();
    expect((await ask("GET", name)).status).toBe(200);
    expect(reserve.mock.calls.map(([bytes]) => bytes)).toEqual([DOWNLOAD_MEMORY]);
  }
});
