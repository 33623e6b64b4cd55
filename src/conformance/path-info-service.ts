import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { utf8 } from "../bytes.ts";
import { InlineHashEngine } from "../hash/inline-engine.ts";
import { encodeNixbase32 } from "../nix/nixbase32.ts";
import { formatStorePath, parseHashPart } from "../nix/store-path.ts";
import { addressedPathInfo } from "../store/addressing.ts";
import { calculateNar } from "../store/nar.ts";
import type { PathInfo } from "../store/path-info.ts";
import type { LocalPathInfoService, PathInfoService } from "../store/path-info-service.ts";
import type { StoreServices } from "../store/services.ts";
import { pseudoRandom } from "./content.ts";
import type { OpenedBackend, SuiteBackend, WritableServices } from "./suite-backend.ts";

/** Creates the path info of a store path with its own content, which a service may check. */
async function somePathInfo({ store, fill = store }: OpenedBackend, name: string, seed: number): Promise<PathInfo> {
  const content = utf8(`the content of ${name}`);
  const [digest] = await fill.blobs.putMany([content]);
  if (!digest) throw new Error("no digest");
  const node = { kind: "file", digest, size: BigInt(content.length), executable: false } as const;
  const storePath = formatStorePath({ digest: pseudoRandom(20, seed), name });
  const nar = await calculateNar(store, new InlineHashEngine(), node);
  return { storePath, node, ...nar, references: [], signatures: [] };
}

function signature(seed: number): string {
  return `key-${seed % 10}:${btoa(String.fromCharCode(...pseudoRandom(64, seed)))}`;
}

/** Tests the rules of `PathInfoService`, for any backend. */
export function pathInfoServiceSuite(backend: SuiteBackend): void {
  describe(`PathInfoService: ${backend.name}`, () => {
    let opened: OpenedBackend;
    let store: StoreServices;
    let fill: WritableServices["pathInfos"];
    const { canDelete = false, canList = true, readOnly = false, signedBy } = backend;

    function withoutOwn(signatures: readonly string[]): string[] {
      return signatures.filter((one) => signedBy === undefined || !one.startsWith(`${signedBy}:`));
    }

    /**
     * Drops optional fields that are `undefined` and the signatures of the backend's own key, so
     * that path infos can be compared.
     */
    function known(info: PathInfo | undefined): unknown {
      if (!info) return undefined;
      const signatures = withoutOwn(info.signatures);
      return Object.fromEntries(Object.entries({ ...info, signatures }).filter(([, value]) => value !== undefined));
    }

    beforeAll(async () => {
      opened = await backend.open();
      store = opened.store;
      fill = (opened.fill ?? store).pathInfos;
    });
    afterAll(() => opened.close());

    test("what is missing is undefined", async () => {
      expect(await store.pathInfos.get(encodeNixbase32(new Uint8Array(20)))).toBeUndefined();
    });

    test("a PathInfo comes out as it went in", async () => {
      const other = await somePathInfo(opened, "other-1.0", 11);
      const info: PathInfo = {
        ...(await somePathInfo(opened, "full-1.0", 12)),
        references: [other.storePath.replace("/nix/store/", "")],
        deriver: `${encodeNixbase32(pseudoRandom(20, 13))}-full-1.0.drv`,
        signatures: [`key-1:${btoa(String.fromCharCode(...pseudoRandom(64, 14)))}`],
      };
      expect(known(await fill.put(info))).toEqual(known(info));
      expect(known(await store.pathInfos.get(parseHashPart(info.storePath)))).toEqual(known(info));
    });

    test.each([
      ["git", "sha1"],
      ["git", "sha256"],
      ["nar", "blake3"],
      ["flat", "blake3"],
    ] as const)("a %s %s content address and a deriver without .drv come out as they went in", async (method, hashAlgorithm) => {
      const name = `${method}-${hashAlgorithm}`;
      const { node, narSize, narHash } = await somePathInfo(opened, name, 61);
      const addressing = { name, method, hashAlgorithm, references: [] };
      const addressed = await addressedPathInfo(store, new InlineHashEngine(), node, { narSize, narHash }, addressing);
      const info: PathInfo = { ...addressed, deriver: `${encodeNixbase32(pseudoRandom(20, 62))}-${name}` };
      expect(info.ca).toContain(hashAlgorithm);
      expect(known(await fill.put(info))).toEqual(known(info));
      expect(known(await store.pathInfos.get(parseHashPart(info.storePath)))).toEqual(known(info));
    });

    test("delete forgets, where there is one", async () => {
      const { pathInfos } = store;
      expect(isLocal(pathInfos)).toBe(canDelete);
      if (!isLocal(pathInfos)) return;
      const info = await somePathInfo(opened, "deleted-1.0", 41);
      await pathInfos.put(info);
      expect(await pathInfos.delete(parseHashPart(info.storePath))).toBe(true);
      expect(await pathInfos.get(parseHashPart(info.storePath))).toBeUndefined();
      expect(await pathInfos.delete(parseHashPart(info.storePath))).toBe(false);
    });

    if (canList)
      test("list has them all", async () => {
        const infos: PathInfo[] = [];
        for (let i = 0; i < 5; i++) infos.push(await fill.put(await somePathInfo(opened, `listed-${i}`, 100 + i)));
        const listed = new Map<string, PathInfo>();
        for await (const info of store.pathInfos.list()) listed.set(info.storePath, info);
        for (const info of infos) expect(known(listed.get(info.storePath))).toEqual(known(info));
      });
    else
      test("list is refused", async () => {
        const listing = async () => {
          for await (const _ of store.pathInfos.list());
        };
        await expect(listing()).rejects.toMatchObject({ name: "StoreError", code: "denied" });
      });

    if (readOnly) {
      test("refuses every write", async () => {
        const info = await somePathInfo(opened, "refused-1.0", 51);
        await expect(store.pathInfos.put(info)).rejects.toMatchObject({ name: "StoreError", code: "denied" });
        expect(await store.pathInfos.get(parseHashPart(info.storePath))).toBeUndefined();
      });
      return;
    }

    test("put adds signatures, and a deriver that was not known", async () => {
      const info = await somePathInfo(opened, "signed-1.0", 21);
      await store.pathInfos.put(info);
      const deriver = `${encodeNixbase32(pseudoRandom(20, 23))}-signed-1.0.drv`;
      const first = { ...info, deriver, signatures: [signature(22)] };
      expect(known(await store.pathInfos.put(first))).toEqual(known(first));
      const both = { ...info, deriver, signatures: [signature(22), signature(24)] };
      expect(known(await store.pathInfos.put({ ...info, signatures: [signature(24)] }))).toEqual(known(both));
      expect(known(await store.pathInfos.get(parseHashPart(info.storePath)))).toEqual(known(both));
    });

    test("put refuses other content and other references, and what is there stays", async () => {
      const info = await somePathInfo(opened, "kept-1.0", 25);
      const other = await somePathInfo(opened, "other-content", 26);
      await store.pathInfos.put(info);
      for (const changed of [
        { ...other, storePath: info.storePath, signatures: [signature(27)] },
        { ...info, references: [other.storePath.replace("/nix/store/", "")] },
      ])
        await expect(store.pathInfos.put(changed)).rejects.toMatchObject({ name: "StoreError", code: "conflict" });
      expect(known(await store.pathInfos.get(parseHashPart(info.storePath)))).toEqual(known(info));
      // The service still works.
      await store.pathInfos.put(other);
    });

    test("of several who put at once, none loses a signature", async () => {
      const info = await somePathInfo(opened, "at-once-1.0", 28);
      const signatures = Array.from({ length: 10 }, (_, i) => signature(200 + i));
      await Promise.all(signatures.map((one) => store.pathInfos.put({ ...info, signatures: [one] })));
      const stored = await store.pathInfos.get(parseHashPart(info.storePath));
      expect(withoutOwn(stored?.signatures ?? []).sort()).toEqual([...signatures].sort());
    });

    test("of several who put other content at once, one wins and the others are told", async () => {
      const [info, ...others] = await Promise.all([30, 31, 32, 33].map((seed) => somePathInfo(opened, `race-${seed}`, seed)));
      if (!info) throw new Error("none");
      const all = [info, ...others.map((other) => ({ ...other, storePath: info.storePath }))];
      const results = await Promise.allSettled(all.map((one) => store.pathInfos.put(one)));
      const winners = all.filter((_, i) => results[i]?.status === "fulfilled");
      expect(winners).toHaveLength(1);
      for (const result of results)
        if (result.status === "rejected") expect(result.reason).toMatchObject({ name: "StoreError", code: "conflict" });
      expect(known(await store.pathInfos.get(parseHashPart(info.storePath)))).toEqual(known(winners[0]));
    });

    test("refuses more signatures than a path can have", async () => {
      const info = await somePathInfo(opened, "many-signatures-1.0", 34);
      const signatures = Array.from({ length: 3000 }, (_, i) => `another-${i}-of-${signature(1)}`);
      await expect(store.pathInfos.put({ ...info, signatures })).rejects.toMatchObject({ code: "invalid" });
      await store.pathInfos.put({ ...info, signatures: signatures.slice(0, 100) });
    });

    test.each<[string, (info: PathInfo) => PathInfo]>([
      ["no store path", (info) => ({ ...info, storePath: "/nix/store/short" })],
      ["a NAR hash of no form", (info) => ({ ...info, narHash: "sha256-abc" })],
      ["a negative size", (info) => ({ ...info, narSize: -1 })],
      ["a size of 0", (info) => ({ ...info, narSize: 0 })],
      ["a git content address by another hash", (info) => ({ ...info, ca: "fixed:git:md5:3y8bwfr609h3lh9ch0izcqq7fl" })],
      ["a reference of no form", (info) => ({ ...info, references: ["nothing"] })],
      ["a signature that is too short", (info) => ({ ...info, signatures: ["key:AAAA"] })],
      ["a content address of no form", (info) => ({ ...info, ca: "fixed:what" })],
    ])("refuses %s", async (_, spoil) => {
      const info = await somePathInfo(opened, "spoilt-1.0", 31);
      await expect(store.pathInfos.put(spoil(info))).rejects.toMatchObject({ name: "StoreError", code: "invalid" });
      expect(await store.pathInfos.get(parseHashPart(info.storePath))).toBeUndefined();
    });
  });
}

function isLocal(pathInfos: PathInfoService): pathInfos is LocalPathInfoService {
  return "delete" in pathInfos;
}
