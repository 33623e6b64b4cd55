import { expect, test } from "vitest";
import { createMemoryStore } from "../../../src/backends/memory.ts";
import { generateSecretKey, verify } from "../../../src/nix/ed25519.ts";
import { fingerprint } from "../../../src/nix/fingerprint.ts";
import { formatNix32 } from "../../../src/nix/hash.ts";
import { publicKeyOf } from "../../../src/nix/key.ts";
import { formatNarInfo, parseNarInfo } from "../../../src/nix/narinfo.ts";
import { CacheUploads, memoryRecords } from "../../../src/node/binary-cache/uploads.ts";
import { signing } from "../../../src/store/signing.ts";
import { engine, HELLO, narInfoOf, narOf, nixHash, SOURCE, TestCache } from "../test-cache.ts";

const cache = TestCache.forEachTest();

const ask: TestCache["ask"] = (...request) => cache.ask(...request);

test("a NAR whose content is gone makes no path", async () => {
  const uploads = new CacheUploads(memoryRecords());
  await cache.start({ uploads });
  const file = narOf(HELLO);
  await ask("PUT", `/nar/${nixHash(file)}.nar`, { body: file });
  cache.store = createMemoryStore(engine);
  await cache.start({ uploads });
  expect((await ask("HEAD", `/nar/${nixHash(file)}.nar`)).status).toBe(404);
  expect((await ask("PUT", `/${HELLO}.narinfo`, { body: narInfoOf(HELLO) })).status).toBe(409);
  expect(await cache.paths()).toEqual([]);
});

test("a path with another signature needs no second NAR", async () => {
  await cache.addHello();
  const info = parseNarInfo(narInfoOf(HELLO));
  const other = { name: "other-1", data: new Uint8Array(64).fill(1) };
  const text = formatNarInfo({ ...info, signatures: [...info.signatures, other] });
  expect((await ask("PUT", `/${HELLO}.narinfo`, { body: text })).status).toBe(201);
  expect((await cache.store.pathInfos.get(HELLO))?.signatures.length).toBe(2);
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
  cache.store = { ...cache.store, pathInfos: signing(cache.store.pathInfos, [key]) };
  await cache.start();
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
  cache.store = { ...cache.store, pathInfos: signing(cache.store.pathInfos, [key], storeDir) };
  await cache.start({ storeDir });
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
    expect([body.slice(0, 400), (await ask("PUT", `/${hashPart}.narinfo`, { body })).status]).toEqual([body.slice(0, 400), status]);
    expect((await ask("GET", `/${hashPart}.narinfo`)).status).toBe(404);
  }
  expect(await cache.paths()).toEqual([]);
  // This NARInfo belongs to a path that exists with different content.
  await ask("PUT", `/${HELLO}.narinfo`, { body: text });
  const changed = text
    .replace(/NarHash: .*/, `NarHash: ${formatNix32(other.narHash)}`)
    .replace(/NarSize: \d+/, `NarSize: ${other.narSize}`);
  expect((await ask("PUT", `/${HELLO}.narinfo`, { body: changed })).status).toBe(409);
});
