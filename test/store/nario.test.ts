import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { createMemoryStore } from "../../src/backends/memory.ts";
import { concatBytes, utf8 } from "../../src/bytes.ts";
import type { HashStream } from "../../src/hash/engine.ts";
import { InlineHashEngine } from "../../src/hash/inline-engine.ts";
import { NARIO_END } from "../../src/nix/nario.ts";
import type { Progress } from "../../src/progress.ts";
import { exportNario, importNario, listNario } from "../../src/store/nario.ts";
import type { PathInfo } from "../../src/store/path-info.ts";
import type { LocalStoreServices } from "../../src/store/services.ts";
import { smallNario } from "../nix/small-nario.ts";
import { engine, failure, importFiles, Source } from "./fixtures.ts";

/** The format is tested in test/nix/nario.test.ts. */

/** Output of `nix-store --export` of Nix 2.34: a path, and another path that refers to it. */
const EXPORT = new Uint8Array(readFileSync(join(import.meta.dirname, "../fixtures/nix-2.34/export.nario")));
const PATHS = [
  "/nix/store/jn8hsc1hh5smdznh7w69bcjlg3s7c5ki-case-lib-1.0",
  "/nix/store/fff4cbjb6mak2853fn8wnhi4zsyi3y6j-case-selfish+2.0",
];

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

const importAll = (store: LocalStoreServices, bytes: Uint8Array): Promise<PathInfo[]> =>
  all(importNario(store, engine, new Source(bytes)));

async function exported(store: LocalStoreServices, infos: readonly PathInfo[]): Promise<Uint8Array> {
  return concatBytes(await all(exportNario(store, infos, { engine })));
}

/** Counts the hashes that were ended without a result. */
class Engine extends InlineHashEngine {
  aborted = 0;
  override async stream(...args: Parameters<InlineHashEngine["stream"]>): Promise<HashStream> {
    const stream = await super.stream(...args);
    const abort = (): void => {
      this.aborted++;
      stream.abort();
    };
    return { ...stream, abort };
  }
}

const expectRising = (steps: readonly Progress[], total: number | undefined, last: number): void => {
  expect(steps.every((step) => step.phase === "reading" && step.unit === "bytes" && step.total === total)).toBe(true);
  const loaded = steps.map((step) => step.loaded);
  expect(loaded).toEqual([...loaded].sort((a, b) => a - b));
  expect(loaded.at(-1)).toBe(last);
};

describe("an export", () => {
  test("has dependencies first, and tells the bytes of the NARs", async () => {
    const store = createMemoryStore();
    const infos = await importAll(store, EXPORT);
    const steps: Progress[] = [];
    const options = { engine, onProgress: (step: Progress) => steps.push(step) };
    const bytes = concatBytes(await all(exportNario(store, [...infos].reverse(), options)));
    expect((await all(listNario(engine, new Source(bytes)))).map(({ storePath }) => storePath)).toEqual(PATHS);
    const total = infos.reduce((sum, { narSize }) => sum + narSize, 0);
    expectRising(steps, total, total);
  });

  test("of nothing is an end", async () => {
    expect(await exported(createMemoryStore(), [])).toEqual(NARIO_END);
  });

  test("ends with the reason of an abort, between paths and within one", async () => {
    const store = createMemoryStore();
    const infos = await importAll(store, EXPORT);
    const reason = new Error("enough");
    expect(await failure(all(exportNario(store, infos, { engine, signal: AbortSignal.abort(reason) })))).toBe(reason);
    const controller = new AbortController();
    const counting = new Engine();
    const onProgress = (): void => controller.abort(reason);
    expect(await failure(all(exportNario(store, infos, { engine: counting, signal: controller.signal, onProgress })))).toBe(reason);
    expect(counting.aborted).toBe(1);
  });

  test("whose content is missing is not-found, and ends the hash", async () => {
    const store = createMemoryStore();
    const info = await importFiles(store, "gone", { a: utf8("a") });
    const counting = new Engine();
    const from = { ...createMemoryStore(), directories: store.directories };
    expect(await failure(all(exportNario(from, [info], { engine: counting })))).toMatchObject({ code: "not-found" });
    expect(counting.aborted).toBe(1);
  });

  test("that is complete ends no hash early", async () => {
    const store = createMemoryStore();
    const counting = new Engine();
    await all(exportNario(store, await importAll(store, EXPORT), { engine: counting }));
    await all(listNario(counting, new Source(EXPORT)));
    expect(counting.aborted).toBe(0);
  });

  test("is not exported if the content does not match the PathInfo", async () => {
    const store = createMemoryStore();
    const info = await importFiles(store, "lie", { a: utf8("a") });
    const lie = { ...info, narHash: "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=" };
    expect(await failure(exported(store, [lie]))).toMatchObject({ code: "corrupt" });
  });
});

describe("an import", () => {
  const storePath = "/nix/store/00bgd045z0d4icpbc2yyz4gx48ak44la-thing";
  const plain = { storePath, references: [], signatures: [] };

  test("tells the bytes of the nario", async () => {
    const steps: Progress[] = [];
    await all(importNario(createMemoryStore(), engine, new Source(EXPORT), { onProgress: (step) => steps.push(step) }));
    expectRising(steps, undefined, EXPORT.length);
  });

  test("needs no reference to the path itself", async () => {
    const itself = storePath.slice("/nix/store/".length);
    const infos = await importAll(createMemoryStore(), smallNario({ ...plain, references: [itself] }));
    expect(infos).toMatchObject([{ storePath, references: [itself] }]);
  });

  test("of a reference to a missing path is not-found", async () => {
    const references = ["1b9p07z77phvv2hf6gm9f28syp39f1ag-other"];
    const importing = importAll(createMemoryStore(), smallNario({ ...plain, references }));
    expect(await failure(importing)).toMatchObject({ code: "not-found" });
  });

  test("whose content address does not match the content is corrupt", async () => {
    const ca = "fixed:r:sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73";
    const store = createMemoryStore();
    expect(await failure(importAll(store, smallNario({ ...plain, ca })))).toMatchObject({ code: "corrupt" });
    for await (const { storePath } of store.pathInfos.list()) throw new Error(`${storePath} is there`);
  });

  test("of an existing path with different content is a conflict", async () => {
    const store = createMemoryStore();
    const other = await importFiles(store, "other", { a: utf8("a") });
    await store.pathInfos.put({ ...other, storePath, ca: undefined });
    expect(await failure(importAll(store, smallNario(plain)))).toMatchObject({ code: "conflict" });
  });

  test("ends its source when its reader stops, and an abort rejects with its reason", async () => {
    const source = new Source(EXPORT, 100);
    const importing = importNario(createMemoryStore(), engine, source);
    expect((await importing.next()).value?.storePath).toBe(PATHS[0]);
    await importing.return(undefined);
    expect(source.returned).toBe(true);

    const controller = new AbortController();
    const reason = new Error("enough");
    const ending = async () => {
      for await (const _ of importNario(createMemoryStore(), engine, new Source(EXPORT, 100), { signal: controller.signal }))
        controller.abort(reason);
    };
    expect(await failure(ending())).toBe(reason);
  });
});

describe("a listing", () => {
  test("has the sizes and hashes that an import finds, and tells the bytes of the nario", async () => {
    const steps: Progress[] = [];
    const listed = await all(listNario(engine, new Source(EXPORT), { onProgress: (step) => steps.push(step) }));
    const infos = await importAll(createMemoryStore(), EXPORT);
    expect(listed.map(({ narSize, narHash }) => ({ narSize, narHash }))).toEqual(
      infos.map(({ narSize, narHash }) => ({ narSize, narHash })),
    );
    expectRising(steps, undefined, EXPORT.length);
  });

  test("of a nario that is cut short is invalid, and ends the hash and the source", async () => {
    const counting = new Engine();
    const source = new Source(EXPORT.subarray(0, 100));
    expect(await failure(all(listNario(counting, source)))).toMatchObject({ name: "StoreError", code: "invalid" });
    expect(counting.aborted).toBe(1);
    const unread = new Source(EXPORT, 100);
    for await (const _ of listNario(engine, unread)) break;
    expect(unread.returned).toBe(true);
  });

  test("ends with the reason of an abort", async () => {
    const reason = new Error("enough");
    const listing = all(listNario(engine, new Source(EXPORT), { signal: AbortSignal.abort(reason) }));
    expect(await failure(listing)).toBe(reason);
  });
});

test("references are looked up concurrently, with a limit, and once each", async () => {
  const store = createMemoryStore();
  const referenced: string[] = [];
  for (let i = 0; i < 40; i++) {
    const { storePath } = await importFiles(store, `dependency-${i}`, { a: utf8("a") });
    referenced.push(storePath.slice("/nix/store/".length));
  }
  const infos: PathInfo[] = [];
  for (const name of ["first", "second"])
    infos.push({ ...(await importFiles(store, name, { b: utf8(name) })), ca: undefined, references: [...referenced].sort() });
  const parts: Uint8Array[] = [];
  for await (const part of exportNario(store, infos, { engine })) parts.push(part);
  for (const { storePath } of infos) await store.pathInfos.delete(storePath.slice(11, 43));
  const { pathInfos } = store;
  const asked: string[] = [];
  let running = 0;
  let most = 0;
  const watched = {
    ...store,
    pathInfos: {
      list: () => pathInfos.list(),
      put: (info: PathInfo) => pathInfos.put(info),
      async get(hashPart: string) {
        asked.push(hashPart);
        most = Math.max(most, ++running);
        await new Promise((resolve) => setTimeout(resolve, 1));
        running--;
        return pathInfos.get(hashPart);
      },
    },
  };
  for await (const _ of importNario(watched, engine, new Source(concatBytes(parts))));
  expect(asked.sort()).toEqual(referenced.map((name) => name.slice(0, 32)).sort());
  expect(most).toBe(16);
});
