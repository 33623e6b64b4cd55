import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { request } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import { connect } from "node:net";
import { join } from "node:path";
import { crc32, gzipSync } from "node:zlib";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { concatBytes, EMPTY_BYTES } from "../../../src/bytes.ts";
import { arrayMemory } from "../../../src/compression/decoder-memory.ts";
import { type Compression, decompressedAs } from "../../../src/compression/decompress.ts";
import { NarWriter } from "../../../src/nix/nar-writer.ts";
import { parseNarInfo } from "../../../src/nix/narinfo.ts";
import { compressedAs } from "../../../src/node/binary-cache/encode.ts";
import { parseNarName } from "../../../src/node/binary-cache/put-nar.ts";
import { CacheUploads, memoryRecords } from "../../../src/node/binary-cache/uploads.ts";
import { xzStored } from "../../../src/node/binary-cache/xz-stored.ts";
import { compressZstd } from "../../../src/node/zstd.ts";
import { HELLO, narInfoOf, narOf, nixHash, once1, TestCache, whole } from "../test-cache.ts";

let cache: TestCache;
beforeEach(async () => {
  cache = new TestCache();
  await cache.start();
});
afterEach(async () => {
  vi.restoreAllMocks();
  vi.useRealTimers();
  await cache.close();
});

const ask: TestCache["ask"] = (...request) => cache.ask(...request);

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
    expect(await cache.paths()).toEqual([]);
    expect((await ask("HEAD", name)).status).toBe(200);
    expect((await ask("PUT", `/${HELLO}.narinfo`, { body: narInfoOf(HELLO) })).status).toBe(201);
    const info = await cache.store.pathInfos.get(HELLO);
    expect(info?.signatures).toEqual([expect.stringContaining("tvix-store-web-sample-1:")]);
    const got = await ask("GET", name);
    expect(Buffer.compare(await whole(decompressedAs(once1(got.body), compression)), narOf(HELLO))).toBe(0);
  },
);

test("a NAR in a compression that the daemon can't write is kept as uploaded, also without a suffix", async () => {
  const folder = join(import.meta.dirname, "../../fixtures/compressed/bzip2");
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
  expect(await cache.paths()).toEqual([]);
});

test("an upload that breaks off leaves nothing, and the server continues", async () => {
  const uploads = new CacheUploads(memoryRecords());
  await cache.start({ uploads });
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
  // The server that is replaced waits for its running requests.
  await cache.start({ uploads });
  expect((await ask("GET", name)).status).toBe(404);
  expect((await ask("PUT", name, { body: nar })).status).toBe(201);
});

/** Lets tasks run until `isReached`. Unlike `expect.poll`, this doesn't advance fake timers. */
async function turnsUntil(isReached: () => boolean): Promise<void> {
  while (!isReached()) await turn();
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("eight stalled xz uploads delay a ninth by ten seconds", async () => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "performance"] });
  const reserve = vi.spyOn(arrayMemory, "reserve");
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
  await turnsUntil(() => reserve.mock.settledResults.filter(({ type }) => type === "fulfilled").length === 8);
  const ninth = ask("PUT", new URL(url).pathname, { body: xz });
  await turnsUntil(() => reserve.mock.calls.length === 9);
  vi.advanceTimersByTime(10_000);
  for (let i = 0; i < 10; i++) await turn();
  expect(reserve.mock.settledResults[8]?.type).toBe("incomplete");
  const logged = vi.spyOn(console, "error").mockImplementation(() => {});
  vi.advanceTimersByTime(1000);
  expect((await ninth).status).toBe(201);
  await turnsUntil(() => answers.length > 0);
  expect(answers).toEqual([503]);
  expect(logged).toHaveBeenCalledOnce();
  // The other uploads continue, and the refused client may send the rest of its data.
  const closed = slow.map((put) => once(put, "close"));
  for (const put of slow) put.end(xz.subarray(30));
  await Promise.all(closed);
  expect(answers).toEqual([503, ...Array(7).fill(201)]);
});

test.each([
  [".nar", { compression: undefined }],
  [".nar.xz", { compression: "xz" }],
  [".nar.zst", { compression: "zstd" }],
  [".nar.gz", { compression: "gzip" }],
  [".nar.bz2", { compression: "bzip2" }],
  [".nar.br", { compression: "br" }],
  [".nar.lz4", { compression: "lz4" }],
  [".nar.lzip", { compression: "lzip" }],
  [".nar.lz", { compression: "lzip" }],
  [".nar.lzma", { compression: "lzma" }],
  [".nar.lzo", undefined],
  [".nar.xz.gz", undefined],
  [".nar.", undefined],
  [".NAR", undefined],
  [".tar", undefined],
  ["", undefined],
])("a name that ends with %s has %j", (suffix, expected) => {
  const fileHash = "0".repeat(52);
  expect(parseNarName(`${fileHash}${suffix}`)).toEqual(expected && { fileHash, ...expected });
  for (const other of ["0".repeat(51), "0".repeat(53), "e".repeat(52), `x/${fileHash}`])
    expect(parseNarName(`${other}${suffix}`)).toBeUndefined();
});

test("a NAR that is too large for the cache, or for its file, is refused", async () => {
  await cache.start({ maxNarSize: narOf(HELLO).length - 1 });
  const upload = async (bytes: Uint8Array, suffix = "") => ask("PUT", `/nar/${nixHash(bytes)}.nar${suffix}`, { body: bytes });
  expect((await upload(narOf(HELLO))).status).toBe(400);
  await cache.start({ maxNarSize: narOf(HELLO).length });
  expect((await upload(narOf(HELLO))).status).toBe(201);
  await cache.start();
  // 300 MiB of zeros in some 10 kB.
  const parts: Uint8Array[] = [];
  const writer = new NarWriter((bytes) => parts.push(bytes.slice()));
  writer.file(300 * 1024 * 1024, false);
  writer.flush();
  const zeros = compressZstd(new Uint8Array(1024 * 1024));
  const bomb = concatBytes([compressZstd(concatBytes(parts)), ...Array(300).fill(zeros)]);
  expect(bomb.length).toBeLessThan(100_000);
  expect((await upload(bomb, ".zst")).status).toBe(400);
});
