import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { createMemoryStore } from "../../../src/backends/memory.ts";
import { EMPTY_BYTES, toBase64Url } from "../../../src/bytes.ts";
import { encodeNode } from "../../../src/castore/directory-codec.ts";
import { entityTag, matchingTag, notModified } from "../../../src/node/binary-cache/conditional.ts";
import { compressZstd } from "../../../src/node/zstd.ts";
import { engine, HELLO, narInfoOf, narOf, nixHash, SOURCE, TestCache } from "../test-cache.ts";

const cache = TestCache.forEachTest();

const ask: TestCache["ask"] = (...request) => cache.ask(...request);

test("a tag depends on the whole text", () => {
  expect(entityTag("a")).toMatch(/^"[\w-]{43}"$/);
  expect(entityTag("a")).toBe(entityTag("a"));
  expect(new Set(["", "a", "a ", "A"].map(entityTag)).size).toBe(4);
});

test.each<[string | undefined, string | undefined]>([
  ['"a"', '"a"'],
  ['W/"a"', '"a"'],
  ['"b"', 'W/"b"'],
  ['W/"b"', 'W/"b"'],
  ['"x", "b" ,"a"', '"a"'],
  [" * ", '"a"'],
  ['"c,d"', '"c,d"'],
  ['"c", "d"', undefined],
  ['"c', undefined],
  ["a", undefined],
  ["", undefined],
  ['*, "a"', '"a"'],
  [undefined, undefined],
])("the header %s names %s", (header, tag) => {
  expect(matchingTag(header, ['"a"', 'W/"b"', '"c,d"'])).toBe(tag);
});

test("an answer that nothing has changed repeats only some headers", () => {
  const headers = { "cache-control": "no-cache", vary: "Accept-Encoding", "content-type": "text/plain", "content-length": "5" };
  expect(notModified({ ...headers, etag: '"old"' }, '"new"')).toEqual({
    status: 304,
    headers: { "cache-control": "no-cache", vary: "Accept-Encoding", etag: '"new"' },
  });
});

describe("If-None-Match", () => {
  const put = async (path: string, body: Uint8Array | string) => expect((await ask("PUT", path, { body })).status).toBe(201);

  test("works at every address that has an entity tag", async () => {
    const info = await cache.addHello();
    const nar = narOf(HELLO);
    const zst = compressZstd(nar);
    const bz2 = join(import.meta.dirname, "../../fixtures/compressed/bzip2");
    const bz2Name = readdirSync(join(bz2, "nar"))[0] as string;
    const realisation = `sha256:${"0".repeat(64)}!out`;
    await put(`/nar/${nixHash(nar)}.nar`, nar);
    await put(`/nar/${nixHash(zst)}.nar.zst`, zst);
    await put(`/nar/${bz2Name}`, readFileSync(join(bz2, "nar", bz2Name)));
    await put(`/log/${HELLO}-hello.drv`, "built\n");
    await put(`/realisations/${realisation}.doi`, JSON.stringify({ id: realisation, outPath: `${HELLO}-hello` }));
    await put("/debuginfo/0123.debug", JSON.stringify({ archive: `../nar/${nixHash(nar)}.nar`, member: "lib/x.debug" }));
    const addresses = [
      "/nix-cache-info",
      `/${HELLO}.narinfo`,
      `/${HELLO}.ls`,
      `/nar/tvix-castore/${toBase64Url(encodeNode(EMPTY_BYTES, info.node))}?narsize=${info.narSize}`,
      `/nar/${nixHash(nar)}.nar`,
      `/nar/${nixHash(zst)}.nar.zst`,
      `/nar/${bz2Name}`,
      `/log/${HELLO}-hello.drv`,
      `/realisations/${realisation}.doi`,
      "/debuginfo/0123.debug",
    ];
    for (const address of addresses) {
      const etag = String((await ask("GET", address)).headers.etag);
      expect([address, etag]).toEqual([address, expect.stringMatching(/^(?:W\/)?"[^"]+"$/)]);
      const opaque = etag.replace(/^W\//, "");
      const cases: [header: string, status: number][] = [
        [etag, 304],
        [opaque, 304],
        [`W/${opaque}`, 304],
        ["*", 304],
        [` "a,b" ,W/"c", ${etag} `, 304],
        [`"a"`, 200],
        [`"x${opaque.slice(1)}, "${opaque.slice(1, -1)}x"`, 200],
        [opaque.slice(1, -1), 200],
        ["", 200],
      ];
      for (const method of ["GET", "HEAD"])
        for (const [header, status] of cases) {
          const answer = await ask(method, address, { headers: { "if-none-match": header } });
          expect([address, method, header, answer.status]).toEqual([address, method, header, status]);
          expect(answer.headers.etag).toBe(etag);
          if (status === 304) expect([answer.body.length, answer.headers["content-length"]]).toEqual([0, undefined]);
        }
    }
    for (const address of [`/${SOURCE}.narinfo`, `/log/${SOURCE}-x.drv`, `/nar/${"0".repeat(52)}.nar`, "/debuginfo/4567.debug"])
      expect((await ask("GET", address, { headers: { "if-none-match": "*" } })).status).toBe(404);
  });

  test("distinguishes the encoded forms of a NAR", async () => {
    const info = await cache.addHello();
    const url = `/nar/tvix-castore/${toBase64Url(encodeNode(EMPTY_BYTES, info.node))}?narsize=${info.narSize}`;
    const { etag } = (await ask("GET", url, { headers: { "accept-encoding": "zstd, identity;q=0" } })).headers;
    const again = await ask("GET", url, { headers: { "if-none-match": String(etag) } });
    expect([again.status, again.headers.etag]).toEqual([304, etag]);
  });

  test("changes when a signature is added", async () => {
    const info = await cache.addHello();
    const { etag } = (await ask("GET", `/${HELLO}.narinfo`)).headers;
    await cache.store.pathInfos.put({ ...info, signatures: [...info.signatures, `other-1:${"A".repeat(86)}==`] });
    expect((await ask("GET", `/${HELLO}.narinfo`, { headers: { "if-none-match": String(etag) } })).status).toBe(200);
  });

  test("prevents overwriting", async () => {
    const path = `/log/${HELLO}-hello.drv`;
    const send = (body: string, tag: string) => ask("PUT", path, { headers: { "if-none-match": tag }, body });
    expect((await send("first\n", "*")).status).toBe(201);
    expect((await send("second\n", "*")).status).toBe(412);
    const { headers, body } = await ask("GET", path);
    expect(body.toString()).toBe("first\n");
    expect((await send("second\n", String(headers.etag))).status).toBe(412);
    expect((await send("second\n", `"another"`)).status).toBe(201);
  });

  test.each<[string, () => [path: string, first: Uint8Array | string, second: Uint8Array | string]]>([
    ["debug information", () => ["/debuginfo/0123.debug", debugInfo("one"), debugInfo("two")]],
    ["a log", () => [`/log/${HELLO}-hello.drv`, "first\n", "second\n"]],
    ["a realisation", () => [`/realisations/${REALISATION}.doi`, realisation(""), realisation(" ")]],
    ["a NAR", () => [`/nar/${nixHash(narOf(HELLO))}.nar`, narOf(HELLO), narOf(HELLO)]],
    ["a NARInfo", () => [`/${SOURCE}.narinfo`, narInfoOf(SOURCE), narInfoOf(SOURCE)]],
  ])("lets one of two win that put %s at the same time", async (_, bodies) => {
    const [path, ...both] = bodies();
    for (let round = 0; round < 3; round++) {
      cache.store = createMemoryStore(engine);
      await cache.start();
      await put(`/nar/${nixHash(narOf(SOURCE))}.nar`, narOf(SOURCE));
      const sent = both.map((body) => {
        const one = request(`${cache.address}${path}`, { method: "PUT", headers: { "if-none-match": "*" } });
        // The server checks the condition before it reads the rest.
        one.write(body.slice(0, 1));
        return { one, rest: body.slice(1), answer: once(one, "response") };
      });
      await new Promise((resolve) => setTimeout(resolve, 30));
      for (const { one, rest } of sent) one.end(rest);
      const answers = await Promise.all(sent.map(async ({ answer }) => (await answer)[0].resume().statusCode));
      expect(answers.sort()).toEqual([201, 412]);
    }
  });
});

const REALISATION = `sha256:${"0".repeat(64)}!out`;

function realisation(blank: string): string {
  return `${JSON.stringify({ id: REALISATION, outPath: `${HELLO}-hello` })}${blank}`;
}

function debugInfo(member: string): string {
  return JSON.stringify({ archive: `../nar/${"0".repeat(52)}.nar`, member });
}
