import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { createMemoryStore } from "../../src/backends/memory.ts";
import { concatBytes, utf8 } from "../../src/bytes.ts";
import { formatNarioInfo, NARIO_END } from "../../src/nix/nario.ts";
import { exportNario, importNario, listNario } from "../../src/store/nario.ts";
import type { PathInfo } from "../../src/store/path-info.ts";
import type { LocalStoreServices } from "../../src/store/services.ts";
import { engine, failure, importFiles, Source } from "../store/fixtures.ts";
import { smallNario } from "./small-nario.ts";

/**
 * Output of `nix-store --export` of Nix 2.34: a path, and another path that refers to it and to
 * itself.
 */
const EXPORT = new Uint8Array(readFileSync(join(import.meta.dirname, "../fixtures/nix-2.34/export.nario")));
const PATHS = [
  "/nix/store/jn8hsc1hh5smdznh7w69bcjlg3s7c5ki-case-lib-1.0",
  "/nix/store/fff4cbjb6mak2853fn8wnhi4zsyi3y6j-case-selfish+2.0",
];

async function importAll(store: LocalStoreServices, bytes: Uint8Array, pieceLength?: number): Promise<PathInfo[]> {
  const infos: PathInfo[] = [];
  for await (const info of importNario(store, engine, new Source(bytes, pieceLength))) infos.push(info);
  return infos;
}

async function exported(store: LocalStoreServices, infos: readonly PathInfo[], notes?: boolean): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const bytes of exportNario(store, infos, { engine, notes })) parts.push(bytes.slice());
  return concatBytes(parts);
}

describe("the output of nix-store --export", () => {
  test.each([1, 7, 8, 4096])("is imported, and exported with the same bytes, in pieces of %d", async (pieceLength) => {
    const store = createMemoryStore();
    const infos = await importAll(store, EXPORT, pieceLength);
    expect(infos.map(({ storePath }) => storePath)).toEqual(PATHS);
    const selfish = infos[1] as PathInfo;
    expect(selfish.references).toEqual([...PATHS].reverse().map((path) => path.slice(11)));
    expect(selfish.deriver).toBe("d449m67wbzwynskprinn5qpnxf403j1m-case-selfish+2.0.drv");
    for (const notes of [true, false]) expect(await exported(store, [...infos].reverse(), notes)).toEqual(EXPORT);
  });

  test("is listed without a store", async () => {
    const listed = [];
    for await (const info of listNario(engine, new Source(EXPORT))) listed.push(info);
    const infos = await importAll(createMemoryStore(), EXPORT);
    for (const [i, { storePath, narSize, narHash, references }] of listed.entries())
      expect(infos[i]).toMatchObject({ storePath, narSize, narHash, references });
    expect(listed).toHaveLength(2);
  });

  test("and further narios, some of them empty, are read in sequence from one stream", async () => {
    const infos = await importAll(createMemoryStore(), concatBytes([NARIO_END, EXPORT, NARIO_END, EXPORT]));
    expect(infos.map(({ storePath }) => storePath)).toEqual([...PATHS, ...PATHS]);
    expect(await importAll(createMemoryStore(), NARIO_END)).toEqual([]);
  });

  test("is invalid if it is cut short, and the complete paths before the cut stay", async () => {
    for (let length = 0; length < EXPORT.length; length += length % 64 === 0 ? 1 : 7) {
      const store = createMemoryStore();
      expect([length, await failure(importAll(store, EXPORT.subarray(0, length)))]).toMatchObject([
        length,
        { name: "StoreError", code: "invalid" },
      ]);
      const isSecondWhole = length >= EXPORT.length - NARIO_END.length;
      for await (const { storePath } of store.pathInfos.list()) if (!isSecondWhole) expect(storePath).toBe(PATHS[0]);
    }
  });
});

describe("a nario", () => {
  const storePath = "/nix/store/00bgd045z0d4icpbc2yyz4gx48ak44la-thing";
  const signatures = [`key-1:${btoa("s".repeat(64))}`, `key-2:${btoa("t".repeat(64))}`];
  const plain = { storePath, references: [], signatures: [] };

  test("keeps signatures and content addresses in a field that Nix ignores", async () => {
    const store = createMemoryStore();
    const addressed = await importFiles(store, "addressed", { "a/b": utf8("b") });
    const signed = await store.pathInfos.put({ ...addressed, signatures });
    expect(signed.ca).toBeDefined();
    const [back] = await importAll(createMemoryStore(), await exported(store, [signed]));
    expect(back).toEqual(signed);
    const [plain] = await importAll(createMemoryStore(), await exported(store, [signed], false));
    expect(plain).toEqual({ ...signed, signatures: [], ca: undefined });
  });

  test("with an old signature or other text in this field is read without it", async () => {
    const { length } = formatNarioInfo(plain);
    for (const text of ["-----BEGIN SIGNATURE-----\nabc", "Sig: nonsense\n", "CA: fixed:what\n", "\xff"]) {
      const bytes = Uint8Array.from(text, (char) => char.charCodeAt(0));
      const token = new Uint8Array(16 + Math.ceil(bytes.length / 8) * 8);
      token.set([1]);
      token.set([bytes.length], 8);
      token.set(bytes, 16);
      const after = concatBytes([formatNarioInfo(plain).subarray(0, length - 8), token]);
      expect(await importAll(createMemoryStore(), smallNario(plain, after))).toMatchObject([{ storePath, signatures: [] }]);
    }
  });

  test("with invalid numbers, lengths or texts is invalid", async () => {
    const good = smallNario(plain);
    const info = formatNarioInfo(plain);
    const start = good.length - NARIO_END.length - info.length;
    const huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f, 0];
    // The first marker, the magic number, the path's length, the number of references, the
    // deriver's length.
    const pathEnd = start + 16 + Math.ceil(storePath.length / 8) * 8;
    for (const at of [0, start, start + 8, pathEnd, pathEnd + 8]) {
      const bad = good.slice();
      bad.set(huge, at);
      expect([at, await failure(importAll(createMemoryStore(), bad))]).toMatchObject([at, { code: "invalid" }]);
    }
    for (const path of ["/nix/store/short", "/etc/passwd", "00bgd045z0d4icpbc2yyz4gx48ak44la-thing", `${storePath}/inside`]) {
      const bytes = utf8(path);
      const token = new Uint8Array(8 + Math.ceil(bytes.length / 8) * 8);
      token.set([bytes.length]);
      token.set(bytes, 8);
      const after = concatBytes([info.subarray(0, 8), token, info.subarray(pathEnd - start)]);
      expect([path, await failure(importAll(createMemoryStore(), smallNario(plain, after)))]).toMatchObject([
        path,
        { code: "invalid" },
      ]);
    }
    for (const other of ["NARIO2\0\0", "nix-archive-1", "not a nario"])
      expect(await failure(importAll(createMemoryStore(), utf8(other.padEnd(64, "\0"))))).toMatchObject({ code: "invalid" });
  });
});
