import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { Caller } from "../../../src/node/permissions.ts";
import { HELLO, SOURCE, TestCache } from "../test-cache.ts";

const cache = TestCache.forEachTest();

const ask: TestCache["ask"] = (...request) => cache.ask(...request);

describe("realisations", () => {
  const FIXTURES = ["nix-2.34/realisations", "realisations/2.34/realisations", "realisations/2.8/realisations"].map((dir) =>
    join(import.meta.dirname, "../../fixtures", dir),
  );
  const ID = `sha256:${"4".repeat(64)}!out`;
  const ADDRESS = `/realisations/${ID}.doi`;
  const OUT = `${HELLO}-hello`;
  const DRV = `${SOURCE}-hello.drv`;
  const signature = (i: number) => `key-${i}:${Buffer.alloc(64, i).toString("base64")}`;
  const realisation = (changes: object = {}) =>
    JSON.stringify({ dependentRealisations: {}, id: ID, outPath: OUT, signatures: [], ...changes });
  const put = async (body: string | Uint8Array, address = ADDRESS) => (await ask("PUT", address, { body })).status;
  const got = async (address = ADDRESS) => (await ask("GET", address)).body.toString();

  test.each(FIXTURES)("of real Nix keep their bytes: %s", async (dir) => {
    const names = readdirSync(dir);
    expect(names.length).toBeGreaterThan(0);
    for (const name of names) {
      const address = `/realisations/${name}`;
      for (const method of ["GET", "HEAD"]) expect((await ask(method, address)).status).toBe(404);
      const bytes = readFileSync(join(dir, name));
      expect(await put(bytes, address)).toBe(201);
      // Other clients percent-encode the name.
      for (const path of [address, `/realisations/${encodeURIComponent(name)}`]) {
        const { status, headers, body } = await ask("GET", path);
        expect([status, headers["content-type"], body.equals(bytes)]).toEqual([200, "application/json", true]);
      }
      expect((await ask("HEAD", address)).headers["content-length"]).toBe(String(bytes.length));
    }
  });

  test("of the same output by Nix 2.8 and by 2.34 are merged, with both signatures", async () => {
    const [, current = "", older = ""] = FIXTURES;
    const name = readdirSync(older).find((found) => readdirSync(current).includes(found)) ?? "";
    const texts = [current, older].map((dir) => readFileSync(join(dir, name), "utf8"));
    const [a, b] = texts.map((text) => JSON.parse(text));
    for (const text of texts) expect(await put(text, `/realisations/${name}`)).toBe(201);
    expect(await got(`/realisations/${name}`)).toBe(
      JSON.stringify({ ...b, signatures: [...a.signatures, ...b.signatures].sort() }),
    );
    expect(Object.keys(b.dependentRealisations).length).toBeGreaterThan(0);
  });

  test("by derivation, as Nix 2.35 and later write them", async () => {
    const address = `/build-trace-v2/${DRV}/out.doi`;
    const text = JSON.stringify({ outPath: OUT, signatures: [{ keyName: "key-1", sig: Buffer.alloc(64, 1).toString("base64") }] });
    expect((await ask("GET", address)).status).toBe(404);
    expect(await put(text, address)).toBe(201);
    expect(await got(address)).toBe(text);
    const other = JSON.stringify({ outPath: OUT, signatures: [signature(2)] });
    expect(await put(other, address)).toBe(201);
    expect(JSON.parse(await got(address))).toEqual({
      outPath: OUT,
      signatures: [1, 2].map((i) => ({ keyName: `key-${i}`, sig: Buffer.alloc(64, i).toString("base64") })),
    });
    expect((await ask("GET", `/build-trace-v2/${DRV}/dev.doi`)).status).toBe(404);
  });

  test("keep the signatures of both versions when they are put again", async () => {
    const first = realisation({ signatures: [signature(1)] });
    expect(await put(first)).toBe(201);
    // This version has nothing new.
    expect(await put(realisation({ note: "x" }))).toBe(201);
    expect(await got()).toBe(first);
    expect(await put(realisation({ signatures: [signature(2)] }))).toBe(201);
    expect(await got()).toBe(realisation({ signatures: [signature(1), signature(2)] }));
    const dependentRealisations = { [`sha256:${"5".repeat(64)}!out`]: OUT };
    expect(await put(realisation({ dependentRealisations }))).toBe(201);
    expect(await got()).toBe(realisation({ dependentRealisations, signatures: [signature(1), signature(2)] }));
    // This version has everything known and more, so its bytes replace the earlier ones.
    const all = realisation({ more: 1, dependentRealisations, signatures: [3, 2, 1].map(signature) });
    expect(await put(all)).toBe(201);
    expect(await got()).toBe(all);
  });

  test("keep all signatures when they are put concurrently", async () => {
    const numbers = [...Array(20).keys()];
    const statuses = await Promise.all(numbers.map((i) => put(realisation({ signatures: [signature(i)] }))));
    expect(new Set(statuses)).toEqual(new Set([201]));
    expect(JSON.parse(await got()).signatures.length).toBe(20);
  });

  test("with a different path or different dependencies replace earlier ones", async () => {
    const dependentRealisations = { [`sha256:${"5".repeat(64)}!out`]: OUT };
    const text = realisation({ dependentRealisations });
    expect(await put(text)).toBe(201);
    const otherDependencies = realisation({ dependentRealisations: { [`sha256:${"5".repeat(64)}!dev`]: OUT } });
    expect(await put(otherDependencies)).toBe(201);
    expect(await got()).toBe(otherDependencies);
    const otherPath = realisation({ outPath: `${SOURCE}-hello`, signatures: [signature(1)] });
    expect(await put(otherPath)).toBe(201);
    expect(await got()).toBe(otherPath);
  });

  test("that break a rule are refused, and nothing is stored", async () => {
    const bad: [address: string, body: string | Uint8Array][] = [
      [ADDRESS, "{"],
      [ADDRESS, "[]"],
      [ADDRESS, "null"],
      [ADDRESS, "[".repeat(500_000)],
      [ADDRESS, Uint8Array.of(0xff)],
      [ADDRESS, realisation({ id: ID.replace("4", "5") })],
      [ADDRESS, realisation({ id: undefined })],
      [ADDRESS, realisation({ outPath: undefined })],
      [ADDRESS, realisation({ outPath: `/nix/store/${OUT}` })],
      [ADDRESS, realisation({ outPath: "hello" })],
      [ADDRESS, realisation({ signatures: "x" })],
      [ADDRESS, realisation({ signatures: ["x"] })],
      [ADDRESS, realisation({ signatures: [{ keyName: "x" }] })],
      [ADDRESS, realisation({ signatures: [7] })],
      [ADDRESS, realisation({ dependentRealisations: [] })],
      [ADDRESS, realisation({ dependentRealisations: { x: OUT } })],
      [ADDRESS, realisation({ dependentRealisations: { [ID]: "x" } })],
      [ADDRESS, realisation({ note: "x".repeat(1 << 20) })],
      [`/realisations/${"4".repeat(64)}!out.doi`, realisation()],
      [`/realisations/sha256:${"4".repeat(63)}!out.doi`, realisation()],
      [`/realisations/sha256:${"4".repeat(64)}!.doi`, realisation()],
      [`/realisations/sha256:${"4".repeat(64)}!a%2Fb.doi`, realisation()],
      ["/realisations/.doi", realisation()],
      [`/build-trace-v2/${OUT}/out.doi`, JSON.stringify({ outPath: OUT })],
      [`/build-trace-v2/x.drv/out.doi`, JSON.stringify({ outPath: OUT })],
      [`/build-trace-v2/${DRV}/.doi`, JSON.stringify({ outPath: OUT })],
    ];
    for (const [address, body] of bad) {
      expect([address, String(body).slice(0, 200), await put(body, address)]).toEqual([address, String(body).slice(0, 200), 400]);
      expect((await ask("GET", address)).status).toBe(404);
    }
  });

  test("have a limited number of signatures", async () => {
    const many = (from: number) => [...Array(8000).keys()].map((i) => signature(0).replace("key-0", `key-${from + i}`));
    expect(await put(realisation({ signatures: many(0) }))).toBe(201);
    expect(await put(realisation({ signatures: many(8000) }))).toBe(400);
    expect(JSON.parse(await got()).signatures.length).toBe(8000);
  });

  test("are refused by a read-only cache", async () => {
    await cache.start({ authorize: () => new Caller(["read"]) });
    expect(await put(realisation())).toBe(403);
  });
});
