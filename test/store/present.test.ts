import { expect, test } from "vitest";
import { createMemoryStore } from "../../src/backends/memory.ts";
import { utf8 } from "../../src/bytes.ts";
import type { PathInfo } from "../../src/store/path-info.ts";
import type { PathInfoService } from "../../src/store/path-info-service.ts";
import { addToPresent } from "../../src/store/present.ts";
import { failure } from "./fixtures.ts";

const NODE = { kind: "symlink", target: utf8("t") } as const;
const signature = (name: string): string => `${name}-1:${"A".repeat(86)}==`;

function info(i: number, signatures: readonly string[] = []): PathInfo {
  return {
    storePath: `/nix/store/${String(i).padStart(32, "0")}-p`,
    node: NODE,
    narHash: "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
    narSize: 120,
    references: [],
    signatures,
  };
}

/** A store that counts its puts and the requests that run at the same time. */
async function storeWith(infos: readonly PathInfo[]) {
  const store = createMemoryStore();
  for (const one of infos) await store.pathInfos.put(one);
  const { pathInfos } = store;
  const counts = { puts: 0, open: 0, most: 0 };
  return {
    counts,
    stored: (of: PathInfo) => pathInfos.get(of.storePath.slice(11, 43)),
    pathInfos: {
      async get(hashPart: string) {
        counts.most = Math.max(counts.most, ++counts.open);
        await new Promise((resolve) => setTimeout(resolve, 1));
        counts.open--;
        return pathInfos.get(hashPart);
      },
      list: pathInfos.list.bind(pathInfos),
      put(one: PathInfo) {
        counts.puts++;
        return pathInfos.put(one);
      },
    },
  };
}

test("the missing paths come in their order, from at most 16 requests at a time", async () => {
  const infos = Array.from({ length: 40 }, (_, i) => info(40 - i));
  const store = await storeWith(infos.filter((_, i) => i % 3 === 0));
  expect(await addToPresent(store, infos, undefined)).toEqual(infos.filter((_, i) => i % 3 !== 0));
  expect(store.counts).toEqual({ puts: 0, open: 0, most: 16 });
});

test("a present path gets the signatures that it lacks, and no put without one", async () => {
  const store = await storeWith([info(1, [signature("a")]), info(2, [signature("a"), signature("b")])]);
  const infos = [info(1, [signature("a"), signature("c")]), info(2, [signature("b")])];
  expect(await addToPresent(store, infos, undefined)).toEqual([]);
  expect(store.counts.puts).toBe(1);
  expect((await store.stored(info(1)))?.signatures).toEqual([signature("a"), signature("c")]);
  expect((await store.stored(info(2)))?.signatures).toEqual([signature("a"), signature("b")]);
});

test("the other facts of a present path stay", async () => {
  const earlier = { ...info(1), deriver: `${"1".repeat(32)}-p.drv` };
  const store = await storeWith([earlier]);
  await addToPresent(store, [{ ...info(1, [signature("a")]), node: { kind: "symlink", target: utf8("other") } }], undefined);
  expect(await store.stored(earlier)).toEqual({ ...earlier, signatures: [signature("a")] });
});

test("a conflict of the last path changes nothing", async () => {
  const store = await storeWith([info(1), info(2)]);
  const other = { ...info(2), narHash: "sha256-AAAAQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=" };
  const adding = addToPresent(store, [info(1, [signature("a")]), other], undefined);
  expect(await failure(adding)).toMatchObject({ code: "conflict" });
  expect(store.counts.puts).toBe(0);
});

test("an abort ends it before the next requests", async () => {
  const store = await storeWith([]);
  const reason = new Error("enough");
  expect(await failure(addToPresent(store, [info(1)], AbortSignal.abort(reason)))).toBe(reason);
  expect(store.counts.most).toBe(0);
});

test("each request and each put gets the signal", async () => {
  const { pathInfos } = createMemoryStore();
  await pathInfos.put(info(1));
  const { signal } = new AbortController();
  const signals: (AbortSignal | undefined)[] = [];
  const note = (options?: { signal?: AbortSignal | undefined }): void => void signals.push(options?.signal);
  const to: { pathInfos: PathInfoService } = {
    pathInfos: {
      get(hashPart, options) {
        note(options);
        return pathInfos.get(hashPart);
      },
      list: () => pathInfos.list(),
      put(one, options) {
        note(options);
        return pathInfos.put(one);
      },
    },
  };
  await addToPresent(to, [info(1, [signature("a")])], signal);
  expect(signals).toEqual([signal, signal]);
});
