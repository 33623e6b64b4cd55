import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { EMPTY_BYTES, toBase64Url } from "../../src/bytes.ts";
import { encodeNode } from "../../src/castore/directory-codec.ts";
import { compressZstd } from "../../src/node/zstd.ts";
import { HELLO, narOf, nixHash, SOURCE, TestCache } from "./test-cache.ts";

let cache: TestCache;
beforeEach(async () => {
  cache = new TestCache();
  await cache.start();
});
afterEach(() => cache.close());

const ask: TestCache["ask"] = (...request) => cache.ask(...request);

describe("If-None-Match", () => {
  const put = async (path: string, body: Uint8Array | string) => expect((await ask("PUT", path, { body })).status).toBe(201);

  test("is answered at every address that has an entity tag", async () => {
    const info = await cache.addHello();
    const nar = narOf(HELLO);
    const zst = compressZstd(nar);
    const bz2 = join(import.meta.dirname, "../fixtures/compressed/bzip2");
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

  test("knows each coded form of a NAR", async () => {
    const info = await cache.addHello();
    const url = `/nar/tvix-castore/${toBase64Url(encodeNode(EMPTY_BYTES, info.node))}?narsize=${info.narSize}`;
    const { etag } = (await ask("GET", url, { headers: { "accept-encoding": "zstd, identity;q=0" } })).headers;
    const again = await ask("GET", url, { headers: { "if-none-match": String(etag) } });
    expect([again.status, again.headers.etag]).toEqual([304, etag]);
  });

  test("changes with what is signed", async () => {
    const info = await cache.addHello();
    const { etag } = (await ask("GET", `/${HELLO}.narinfo`)).headers;
    await cache.store.pathInfos.put({ ...info, signatures: [...info.signatures, `other-1:${"A".repeat(86)}==`] });
    expect((await ask("GET", `/${HELLO}.narinfo`, { headers: { "if-none-match": String(etag) } })).status).toBe(200);
  });

  test("lets nothing be put over what is there", async () => {
    const path = `/log/${HELLO}-hello.drv`;
    const send = (body: string, tag: string) => ask("PUT", path, { headers: { "if-none-match": tag }, body });
    expect((await send("first\n", "*")).status).toBe(201);
    expect((await send("second\n", "*")).status).toBe(412);
    const { headers, body } = await ask("GET", path);
    expect(body.toString()).toBe("first\n");
    expect((await send("second\n", String(headers.etag))).status).toBe(412);
    expect((await send("second\n", `"another"`)).status).toBe(201);
  });
});
