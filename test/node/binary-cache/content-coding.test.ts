import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { concatBytes, utf8 } from "../../../src/bytes.ts";
import type { Compression } from "../../../src/compression/decompress.ts";
import { parseNarInfo } from "../../../src/nix/narinfo.ts";
import { parseContentCoding, READABLE_CODINGS, refuseCoding } from "../../../src/node/binary-cache/content-coding.ts";
import { compressedAs } from "../../../src/node/binary-cache/encode.ts";
import { HELLO, narInfoOf, narOf, nixHash, once1, TestCache, whole } from "../test-cache.ts";

const cache = TestCache.forEachTest();

const ask: TestCache["ask"] = (...request) => cache.ask(...request);

test.each([
  [undefined, "none"],
  ["", "none"],
  ["identity", "none"],
  ["none", "none"],
  [" GZip ", "gzip"],
  ["x-gzip", "gzip"],
  ["br", "br"],
  ["gzip, gzip", undefined],
  ["compress", undefined],
])("the header %j means %s", (header, compression) => {
  expect(parseContentCoding(header)).toBe(compression);
});

test("a refusal lists the codings of HTTP, each once", () => {
  expect(READABLE_CODINGS).toEqual(expect.arrayContaining(["identity", "gzip", "br", "zstd", "xz"]));
  expect(READABLE_CODINGS).not.toContain("none");
  expect(new Set(READABLE_CODINGS).size).toBe(READABLE_CODINGS.length);
  expect(refuseCoding("lzop", ["gzip", "identity"])).toMatchObject({
    status: 415,
    headers: { "accept-encoding": "gzip, identity" },
  });
});

describe("a body with a Content-Encoding", () => {
  const LOG = `/log/${HELLO}-hello.drv`;
  const coded = (coding: string, body: Uint8Array, path = LOG) =>
    ask("PUT", path, { headers: { "content-encoding": coding }, body });

  test.each<[coding: string, Compression]>([
    ["gzip", "gzip"],
    ["x-gzip", "gzip"],
    ["zstd", "zstd"],
    ["xz", "xz"],
    ["none", "none"],
    ["Identity", "none"],
  ])("is decoded before it is stored: %s", async (coding, compression) => {
    const encode = async (text: string) => whole(compressedAs(once1(utf8(text)), compression));
    expect((await coded(coding, await encode("built\n"))).status).toBe(201);
    const { status, headers, body } = await ask("GET", LOG);
    expect([status, headers["content-encoding"], body.toString()]).toEqual([200, undefined, "built\n"]);

    const nar = narOf(HELLO);
    await ask("PUT", `/nar/${nixHash(nar)}.nar`, { body: nar });
    expect((await coded(coding, await encode(narInfoOf(HELLO)), `/${HELLO}.narinfo`)).status).toBe(201);
    expect(await cache.paths()).toEqual([parseNarInfo(narInfoOf(HELLO)).storePath]);
  });

  test("that is not supported is refused, and the answer lists the supported codings", async () => {
    for (const coding of ["lzop", "gzip, gzip", "nonsense", "aws-chunked"]) {
      const { status, headers, body } = await coded(coding, utf8("built\n"));
      expect([coding, status]).toEqual([coding, 415]);
      expect(headers["accept-encoding"]).toMatch(/gzip.*identity/);
      expect(body.toString()).toMatch(/^[^\n]+\n$/);
    }
    expect((await ask("GET", LOG)).status).toBe(404);
    // The file name of a NAR tells how it is compressed.
    const nar = narOf(HELLO);
    const answer = await coded("gzip", gzipSync(nar), `/nar/${nixHash(nar)}.nar`);
    expect([answer.status, answer.headers["accept-encoding"]]).toEqual([415, "identity"]);
  });

  test("is refused if it is damaged or cut short", async () => {
    const log = gzipSync("built\n".repeat(1000));
    for (const body of [log.subarray(0, -4), utf8("built\n"), new Uint8Array(0)])
      expect((await coded("gzip", body)).status).toBe(400);
    expect((await ask("GET", LOG)).status).toBe(404);
  });

  test("is limited in size after decoding too", { timeout: 60_000 }, async () => {
    const bomb = gzipSync(Buffer.alloc(64 << 20));
    expect(bomb.length).toBeLessThan(1 << 20);
    expect((await coded("gzip", bomb, `/${HELLO}.narinfo`)).status).toBe(400);
    expect((await coded("gzip", bomb, "/debuginfo/0123.debug")).status).toBe(400);
    expect((await coded("gzip", bomb, `/realisations/sha256:${"0".repeat(64)}!out.doi`)).status).toBe(400);
    // Each of these members is empty.
    const nothing = concatBytes(Array(100_000).fill(gzipSync("")));
    expect((await coded("gzip", nothing, `/${HELLO}.narinfo`)).status).toBe(400);
  });
});
