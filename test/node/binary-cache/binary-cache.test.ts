import { readdirSync } from "node:fs";
import { connect as connectHttp2 } from "node:http2";
import { buffer } from "node:stream/consumers";
import { expect, test } from "vitest";
import { EMPTY_BYTES, toBase64Url } from "../../../src/bytes.ts";
import { encodeNode } from "../../../src/castore/directory-codec.ts";
import { parseNarInfo } from "../../../src/nix/narinfo.ts";
import { Caller } from "../../../src/node/permissions.ts";
import { parseEntryPath, resolvePath } from "../../../src/store/list.ts";
import { iterate } from "../../../src/stream.ts";
import { HELLO, narInfoOf, narOf, nixHash, SAMPLE, TestCache, whole } from "../test-cache.ts";

const cache = TestCache.forEachTest();

const ask: TestCache["ask"] = (...request) => cache.ask(...request);

async function readFileOf(hashPart: string, path: string): Promise<Uint8Array> {
  const info = await cache.store.pathInfos.get(hashPart);
  const node = info && (await resolvePath(cache.store, info.node, parseEntryPath(path)));
  const stream = node?.kind === "file" ? await cache.store.blobs.open(node.digest) : undefined;
  if (!stream) throw new Error(`no file at ${path}`);
  return whole(iterate(stream));
}

test("nix-cache-info shows the options of the cache", async () => {
  const { status, body } = await ask("GET", "/nix-cache-info");
  expect([status, body.toString()]).toEqual([200, "StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 30\n"]);
  await cache.start({ priority: 7, storeDir: "/opt/store" });
  expect((await ask("GET", "/nix-cache-info")).body.toString()).toBe("StoreDir: /opt/store\nWantMassQuery: 1\nPriority: 7\n");
});

test("a NARInfo leads to its NAR", async () => {
  await cache.addHello();
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
  await cache.start({ narUrls: "snix-castore" });
  expect((await ask("GET", `/${HELLO}.narinfo`)).body.toString()).toContain("\nURL: nar/snix-castore/");
});

test("a listing has the offsets of the NAR", async () => {
  await cache.addHello();
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
  await cache.addHello();
  const session = connectHttp2(cache.address);
  const stream = session.request({ ":path": `/${parseNarInfo((await ask("GET", `/${HELLO}.narinfo`)).body.toString()).url}` });
  expect(Buffer.compare(await buffer(stream), narOf(HELLO))).toBe(0);
  session.close();
});

test("invalid addresses get an error status", async () => {
  const info = await cache.addHello();
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

test("a read-only cache refuses uploads", async () => {
  await cache.start({ authorize: () => new Caller(["read"]) });
  const nar = narOf(HELLO);
  for (const path of [`/nar/${nixHash(nar)}.nar`, `/${HELLO}.narinfo`, `/${HELLO}.ls`, `/log/${HELLO}-hello.drv`])
    expect((await ask("PUT", path, { body: nar })).status).toBe(403);
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
