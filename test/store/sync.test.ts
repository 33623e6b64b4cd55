import { beforeAll, describe, expect, test } from "vitest";
import { createMemoryStore, MemoryChunkStore } from "../../src/backends/memory.ts";
import { utf8 } from "../../src/bytes.ts";
import { ChunkedBlobService } from "../../src/castore/chunked-blobs.ts";
import { type Digest, digestKey, digestOf, formatDigest } from "../../src/castore/digest.ts";
import type { DirectorySizeRule } from "../../src/castore/directory.ts";
import { StoredDirectoryService } from "../../src/castore/directory-store.ts";
import { StoreError } from "../../src/error.ts";
import type { BlobCutter, HashStream, HashStreamOptions } from "../../src/hash/engine.ts";
import { InlineHashEngine } from "../../src/hash/inline-engine.ts";
import type { HashAlgorithm } from "../../src/hash-algorithm.ts";
import type { Progress } from "../../src/progress.ts";
import { importNar } from "../../src/store/import.ts";
import { calculateNar } from "../../src/store/nar.ts";
import type { PathInfo } from "../../src/store/path-info.ts";
import type { LocalStoreServices, StoreServices } from "../../src/store/services.ts";
import { copyBetweenStores } from "../../src/store/sync.ts";
import { withMethods } from "../castore/with-methods.ts";
import { engine, failure, importFiles, SAMPLE, Source, sampleNar, withSizeRule } from "./fixtures.ts";

async function sampleStore(sizeRule?: DirectorySizeRule): Promise<LocalStoreServices> {
  const store = createMemoryStore();
  const writer = sizeRule ? withSizeRule(store, sizeRule) : store;
  for (const text of SAMPLE) await importNar(writer, engine, new Source(sampleNar(text)), { narInfo: text });
  return store;
}

async function listed(store: StoreServices): Promise<PathInfo[]> {
  const infos: PathInfo[] = [];
  for await (const info of store.pathInfos.list()) infos.push(info);
  return infos;
}

/** `store` with a record of the blobs that are read. */
function watched(store: StoreServices): { store: StoreServices; moved: Set<string> } {
  const moved = new Set<string>();
  const { blobs } = store;
  const note = (digest: Digest): void => void moved.add(digestKey(digest));
  const spy = withMethods(blobs, {
    readMany(digests, options) {
      digests.forEach(note);
      return blobs.readMany(digests, options);
    },
    open(digest, options) {
      note(digest);
      return blobs.open(digest, options);
    },
  });
  return { store: { ...store, blobs: spy }, moved };
}

/** Counts the bytes that it hashes. */
class CountingEngine extends InlineHashEngine {
  hashed = { many: 0, cut: 0, blake3: 0, sha256: 0 };

  override blake3Many(blobs: readonly Uint8Array[]): Promise<Uint8Array[]> {
    for (const { length } of blobs) this.hashed.many += length;
    return super.blake3Many(blobs);
  }

  override async cutter(): Promise<BlobCutter> {
    const cutter = await super.cutter();
    return {
      ...cutter,
      push: (buffer, length) => {
        this.hashed.cut += length;
        return cutter.push(buffer, length);
      },
    };
  }

  override async stream(algorithm: HashAlgorithm, options?: HashStreamOptions): Promise<HashStream> {
    const stream = await super.stream(algorithm, options);
    return {
      ...stream,
      update: (bytes) => {
        if (algorithm === "blake3" || algorithm === "sha256") this.hashed[algorithm] += bytes.length;
        return stream.update(bytes);
      },
    };
  }
}

const DEMO = /StorePath: (.*-hello-tvix-demo-1.0)\n/.exec(SAMPLE.join(""))?.[1] as string;

describe("copyBetweenStores", () => {
  let sample: LocalStoreServices;
  beforeAll(async () => {
    sample = await sampleStore();
  });

  test("copies a closure, dependencies first, and nothing the second time", async () => {
    const to = createMemoryStore();
    const order: string[] = [];
    const put = to.pathInfos.put.bind(to.pathInfos);
    to.pathInfos.put = async (info, options) => {
      for (const reference of info.references) {
        if (!info.storePath.endsWith(reference)) expect(order).toContain(`/nix/store/${reference}`);
      }
      // A path that becomes visible is complete.
      expect(await calculateNar(to, engine, info.node)).toEqual({ narSize: info.narSize, narHash: info.narHash });
      order.push(info.storePath);
      return put(info, options);
    };
    const report = await copyBetweenStores(sample, to, [DEMO], { engine });
    expect(order.at(-1)).toBe(DEMO);
    expect(order.length).toBeGreaterThan(1);
    expect(report).toMatchObject({ paths: order.length, reused: 0 });
    expect(report.objects).toBeGreaterThan(0);
    expect(report.bytes).toBeGreaterThan(0);
    for (const info of await listed(to)) expect(info).toEqual(await sample.pathInfos.get(info.storePath.slice(11, 43)));

    expect(await copyBetweenStores(sample, to, [DEMO], { engine })).toEqual({
      paths: 0,
      objects: 0,
      bytes: 0,
      reused: order.length,
    });
  });

  test("copies a single path on request", async () => {
    const to = createMemoryStore();
    expect(await copyBetweenStores(sample, to, [DEMO, DEMO], { engine, closure: false })).toMatchObject({ paths: 1 });
    expect((await listed(to)).map((info) => info.storePath)).toEqual([DEMO]);
  });

  test("copies every path of the sample, also without verification", async () => {
    const to = createMemoryStore();
    const infos = await listed(sample);
    await copyBetweenStores(
      sample,
      to,
      infos.map((info) => info.storePath),
      { engine, verify: false },
    );
    expect(await listed(to)).toEqual(infos);
  });

  test("reports progress that only rises, up to the total", async () => {
    const steps: Progress[] = [];
    await copyBetweenStores(sample, createMemoryStore(), [DEMO], { engine, onProgress: (step) => steps.push(step) });
    expect(new Set(steps.map(({ unit }) => unit))).toEqual(new Set(["bytes"]));
    for (const phase of ["copying", "verifying"]) {
      const loaded = steps.filter((step) => step.phase === phase).map((step) => step.loaded);
      expect(loaded).toEqual([...loaded].sort((a, b) => a - b));
      expect(loaded.at(-1)).toBe(steps[0]?.total);
    }
  });

  test("adds signatures to an existing path", async () => {
    const to = createMemoryStore();
    await copyBetweenStores(sample, to, [DEMO], { engine });
    const info = (await to.pathInfos.get(DEMO.slice(11, 43))) as PathInfo;
    await to.pathInfos.put({ ...info, signatures: [] });
    expect(await copyBetweenStores(sample, to, [DEMO], { engine })).toMatchObject({ paths: 0, objects: 0 });
    expect(await to.pathInfos.get(DEMO.slice(11, 43))).toEqual(info);
  });

  test("refuses an existing path with different content, and copies nothing", async () => {
    const to = createMemoryStore();
    const info = (await sample.pathInfos.get(DEMO.slice(11, 43))) as PathInfo;
    const other = { ...info, narHash: "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=" };
    await to.pathInfos.put(other);
    expect(await failure(copyBetweenStores(sample, to, [DEMO], { engine }))).toMatchObject({ code: "conflict" });
    expect(await listed(to)).toEqual([other]);
  });

  test("refuses an existing path with different references, and adds no signature", async () => {
    const to = await sampleStore();
    const paths = (await listed(to)).map((info) => info.storePath);
    const before = await listed(to);
    const from = createMemoryStore();
    await copyBetweenStores(sample, from, paths, { engine });
    const info = (await from.pathInfos.get(DEMO.slice(11, 43))) as PathInfo;
    expect(info.references).not.toEqual([]);
    await from.pathInfos.delete(DEMO.slice(11, 43));
    const signatures = [`other-1:${"A".repeat(86)}==`];
    await from.pathInfos.put({ ...info, references: info.references.slice(1), signatures });
    expect(await failure(copyBetweenStores(from, to, [DEMO], { engine }))).toMatchObject({ code: "conflict" });
    expect(await listed(to)).toEqual(before);
  });

  test("refuses a path that is added meanwhile with different references, and copies its content once", async () => {
    const store = createMemoryStore();
    const info = (await sample.pathInfos.get(DEMO.slice(11, 43))) as PathInfo;
    const put = async (): Promise<never> => {
      await store.pathInfos.put({ ...info, references: [] });
      throw new StoreError("conflict", "somebody was faster");
    };
    const { pathInfos } = store;
    const to: StoreServices = {
      ...store,
      pathInfos: { get: (hashPart) => pathInfos.get(hashPart), list: () => pathInfos.list(), put },
    };
    let copies = 0;
    to.directories.put = async (closure, options) => {
      copies++;
      return StoredDirectoryService.prototype.put.call(store.directories, closure, options);
    };
    const copying = copyBetweenStores(sample, to, [DEMO], { engine, closure: false });
    expect(await failure(copying)).toMatchObject({ code: "conflict" });
    expect(copies).toBe(1);
  });

  test("copies only missing objects: nothing beneath an existing directory, and no existing blob", async () => {
    const many = Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`shared/f${i}`, utf8(`shared ${i}`)]));
    const from = createMemoryStore();
    const first = await importFiles(from, "first", { ...many, a: utf8("a"), same: utf8("same") });
    const second = await importFiles(from, "second", { ...many, b: utf8("b"), "sub/same": utf8("same") });
    const to = createMemoryStore();
    // The root, its one child directory, and 42 blobs.
    expect(await copyBetweenStores(from, to, [first.storePath], { engine })).toMatchObject({ paths: 1, objects: 44 });

    const { store, moved } = watched(from);
    // The root, `sub` and `b`.
    expect(await copyBetweenStores(store, to, [second.storePath], { engine })).toEqual({
      paths: 1,
      objects: 3,
      bytes: 1,
      reused: 0,
    });
    expect(moved.size).toBe(1);

    // The same content under another name.
    const third = await importFiles(from, "third", { ...many, b: utf8("b"), "sub/same": utf8("same") });
    expect(await copyBetweenStores(from, to, [third.storePath], { engine })).toEqual({ paths: 1, objects: 0, bytes: 0, reused: 0 });
  });

  test("copies large blobs as streams", async () => {
    const from = createMemoryStore();
    const large = new Uint8Array(5_000_000).map((_, i) => (i * i) >>> 7);
    const info = await importFiles(from, "large", { large, small: utf8("s"), "sub/large": large, empty: new Uint8Array(0) });
    const to = createMemoryStore();
    expect(await copyBetweenStores(from, to, [info.storePath], { engine })).toMatchObject({ objects: 4, bytes: 5_000_001 });
    expect(await listed(to)).toEqual([info]);
  });

  test.each<[DirectorySizeRule, DirectorySizeRule]>([
    ["documented", "doubled"],
    ["doubled", "documented"],
  ])("a tree with %s sizes is encoded anew for a target that accepts %s sizes only", async (fromRule, toRule) => {
    const from = await sampleStore(fromRule);
    const expected = await sampleStore(toRule);
    const to = createMemoryStore();
    const paths = (await listed(from)).map((info) => info.storePath);
    await copyBetweenStores(from, withSizeRule(to, toRule), paths, { engine });
    expect(await listed(to)).toEqual(await listed(expected));
    expect(await listed(to)).not.toEqual(await listed(from));
    expect(await copyBetweenStores(from, withSizeRule(to, toRule), paths, { engine })).toMatchObject({ paths: 0, objects: 0 });
  });

  test.each<DirectorySizeRule>(["documented", "doubled"])(
    "keeps the digests of a tree with %s sizes if the target accepts them",
    async (rule) => {
      const from = await sampleStore(rule);
      const to = createMemoryStore();
      const paths = (await listed(from)).map((info) => info.storePath);
      await copyBetweenStores(from, to, paths, { engine });
      expect(await listed(to)).toEqual(await listed(from));
      // A copy back to a store that accepts only this rule has nothing to do.
      for (const info of await listed(from)) await from.pathInfos.delete(info.storePath.slice(11, 43));
      expect(await copyBetweenStores(to, withSizeRule(from, rule), paths, { engine })).toMatchObject({
        paths: paths.length,
        objects: 0,
      });
    },
  );

  test("refuses a root whose node has a wrong size", async () => {
    const from = createMemoryStore();
    const info = await importFiles(from, "wrong-size", { "a/b": utf8("b"), c: utf8("c") });
    if (info.node.kind !== "directory") throw new Error("it is a directory");
    await from.pathInfos.put({ ...info, node: { ...info.node, size: 77n } });
    expect(await failure(copyBetweenStores(from, createMemoryStore(), [info.storePath], { engine }))).toMatchObject({
      code: "corrupt",
    });
  });

  test.each<[string, Record<string, Uint8Array>]>([
    ["of files alone", { b: utf8("b"), c: utf8("c") }],
    ["of directories", { "a/b": utf8("b"), c: utf8("c") }],
  ])("a root %s whose node has a wrong size is corrupt, even if the target has that directory", async (_, files) => {
    const from = createMemoryStore();
    const to = createMemoryStore();
    await importFiles(to, "other-name", files);
    const info = await importFiles(from, "wrong-size", files);
    if (info.node.kind !== "directory") throw new Error("it is a directory");
    await from.pathInfos.put({ ...info, node: { ...info.node, size: 77n } });
    const before = await listed(to);
    for (const verify of [true, false])
      expect(await failure(copyBetweenStores(from, to, [info.storePath], { engine, verify }))).toMatchObject({ code: "corrupt" });
    expect(await listed(to)).toEqual(before);
  });

  test.each<[string, Record<string, Uint8Array>]>([
    ["of files alone", { b: utf8("b"), c: utf8("c") }],
    ["of directories", { "a/b": utf8("b"), c: utf8("c") }],
  ])("a root %s that the target has with the other size rule is encoded anew", async (_, files) => {
    const from = createMemoryStore();
    const to = createMemoryStore();
    await importFiles(to, "other-name", files);
    const info = await importFiles(from, "thing", files);
    const expected = await importFiles(createMemoryStore(), "thing", files, "doubled");
    await copyBetweenStores(from, withSizeRule(to, "doubled"), [info.storePath], { engine });
    expect(await to.pathInfos.get(info.storePath.slice(11, 43))).toEqual(expected);
  });

  test("refuses a missing path, and copies nothing", async () => {
    const to = createMemoryStore();
    expect(await failure(copyBetweenStores(createMemoryStore(), to, [DEMO], { engine }))).toMatchObject({ code: "not-found" });
    expect(await listed(to)).toEqual([]);
  });

  /** Makes a store with a damaged blob, and the path that has this blob. */
  async function spoiltStore(spoil: (chunks: MemoryChunkStore, blob: Digest) => void, content = utf8("the blob")) {
    const chunks = new MemoryChunkStore();
    const store = { ...createMemoryStore(), blobs: new ChunkedBlobService(chunks, engine) };
    const info = await importFiles(store, "spoilt", { "a/b": content, c: utf8("another") });
    const [digest] = await store.blobs.putMany([content]);
    spoil(chunks, digest as Digest);
    return { store, info, content };
  }

  test.each([true, false])(
    "a blob that the source lacks is not-found, and the path stays invisible (verify: %s)",
    async (verify) => {
      const { store, info } = await spoiltStore((chunks, blob) => {
        chunks.chunks.delete(digestKey(blob));
        chunks.blobs.delete(digestKey(blob));
      });
      const to = createMemoryStore();
      expect(await failure(copyBetweenStores(store, to, [info.storePath], { engine, verify }))).toMatchObject({
        code: "not-found",
      });
      expect(await listed(to)).toEqual([]);
      // The root's directory is missing too, so the next attempt does not assume that its content
      // is there.
      expect(info.node.kind === "directory" && (await to.directories.get(info.node.digest))).toBeUndefined();
    },
  );

  test("refuses a blob that has different content at the source", async () => {
    const { store, info } = await spoiltStore((chunks, blob) => chunks.chunks.set(digestKey(blob), utf8("another8")));
    const to = createMemoryStore();
    expect(await failure(copyBetweenStores(store, to, [info.storePath], { engine }))).toMatchObject({ code: "corrupt" });
    expect(await listed(to)).toEqual([]);
  });

  test.each([
    ["small", utf8("truth"), utf8("false")],
    ["large", new Uint8Array(3_000_000).fill(1), new Uint8Array(3_000_000).fill(2)],
  ])("detects a source that returns wrong content for a %s blob, and stores no blob", async (_, truth, wrong) => {
    const from = createMemoryStore();
    const info = await importFiles(from, "lie", { a: truth });
    const open = async (): Promise<ReadableStream<Uint8Array>> => ReadableStream.from([wrong]);
    const lying = { ...from, blobs: { ...watched(from).store.blobs, open, readMany: async () => [wrong] } };
    const to = createMemoryStore();
    for (const reuseChunks of [false, true])
      expect(await failure(copyBetweenStores(lying, to, [info.storePath], { engine, verify: false, reuseChunks }))).toMatchObject({
        code: "corrupt",
      });
    expect(await listed(to)).toEqual([]);
    expect(await to.blobs.stat([digestOf(truth), digestOf(wrong)])).toEqual([undefined, undefined]);
  });

  test("hashes each byte once with BLAKE3, and once with SHA-256 for its NAR", async () => {
    const source = new CountingEngine();
    const from = createMemoryStore(source);
    const small = { a: utf8("small"), "d/b": new Uint8Array(100_000).fill(3) };
    const large = { c: new Uint8Array(3_000_000).map((_, i) => i * i) };
    const info = await importFiles(from, "once", { ...small, ...large });
    source.hashed = { many: 0, cut: 0, blake3: 0, sha256: 0 };
    const target = new CountingEngine();
    const to = createMemoryStore(target);
    await copyBetweenStores(from, to, [info.storePath], { engine: target });
    expect(source.hashed).toEqual({ many: 0, cut: 0, blake3: 0, sha256: 0 });
    expect(target.hashed).toEqual({ many: 100_005, cut: 3_000_000, blake3: 0, sha256: info.narSize });
  });

  test("names the damaged chunk if the NAR hash differs because the target is damaged", async () => {
    const from = createMemoryStore();
    const info = await importFiles(from, "damage", { a: utf8("truth") });
    const chunks = new MemoryChunkStore();
    const put = chunks.put.bind(chunks);
    chunks.put = async (some, blobs) => {
      await put(some, blobs);
      for (const { digest } of some) chunks.chunks.set(digestKey(digest), utf8("false"));
    };
    const to = { ...createMemoryStore(), blobs: new ChunkedBlobService(chunks, engine) };
    const found = await failure(copyBetweenStores(from, to, [info.storePath], { engine }));
    expect(found).toMatchObject({ code: "corrupt", message: expect.stringContaining(formatDigest(digestOf(utf8("truth")))) });
    expect(await listed(to)).toEqual([]);
  });

  test.each<[string, Partial<PathInfo>]>([
    ["NAR hash", { narHash: "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=" }],
    ["NAR size", { narSize: 8 }],
    ["content address", { ca: "fixed:r:sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73" }],
    ["store path", { storePath: "/nix/store/00000000000000000000000000000000-lie" }],
  ])("a PathInfo whose %s does not match its content is corrupt", async (_, change) => {
    const from = createMemoryStore();
    const truth = await importFiles(from, "lie", { a: utf8("a") });
    await from.pathInfos.delete(truth.storePath.slice(11, 43));
    const info = { ...truth, ...change };
    await from.pathInfos.put(info);
    const to = createMemoryStore();
    expect(await failure(copyBetweenStores(from, to, [info.storePath], { engine }))).toMatchObject({ code: "corrupt" });
    expect(await listed(to)).toEqual([]);
  });

  test("copies content again that the target lost beneath an existing directory", async () => {
    const {
      store: to,
      info,
      content,
    } = await spoiltStore((chunks, blob) => {
      chunks.chunks.delete(digestKey(blob));
      chunks.blobs.delete(digestKey(blob));
    });
    await to.pathInfos.delete(info.storePath.slice(11, 43));
    const from = createMemoryStore();
    await importFiles(from, "spoilt", { "a/b": content, c: utf8("another") });
    // The root, `a` and the blob.
    expect(await copyBetweenStores(from, to, [info.storePath], { engine })).toEqual({ paths: 1, objects: 3, bytes: 8, reused: 0 });
    expect(await calculateNar(to, engine, info.node)).toEqual({ narSize: info.narSize, narHash: info.narHash });
    expect(await listed(to)).toEqual([info]);
  });

  test("checks neither size nor hash if it need not verify", async () => {
    const from = createMemoryStore();
    const truth = await importFiles(from, "lie", { a: utf8("a") });
    await from.pathInfos.delete(truth.storePath.slice(11, 43));
    const lie = { ...truth, narHash: "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=" };
    await from.pathInfos.put(lie);
    const to = createMemoryStore();
    await copyBetweenStores(from, to, [lie.storePath], { engine, verify: false });
    expect(await listed(to)).toEqual([lie]);
  });

  test("passes the signal to the calls for path infos", async () => {
    const { signal } = new AbortController();
    for (const closure of [true, false]) {
      const store = createMemoryStore();
      const to = createMemoryStore();
      const info = await importFiles(store, "thing", { a: utf8("a") });
      const signals: (AbortSignal | undefined)[] = [];
      const get: StoreServices["pathInfos"]["get"] = (hashPart, options) => {
        signals.push(options?.signal);
        return store.pathInfos.get(hashPart);
      };
      const from = { ...store, pathInfos: { get, list: () => store.pathInfos.list(), put: store.pathInfos.put } };
      const put = to.pathInfos.put.bind(to.pathInfos);
      to.pathInfos.put = (one, options) => {
        expect(options?.signal).toBe(signal);
        return put(one);
      };
      await copyBetweenStores(from, to, [info.storePath], { engine, closure, signal });
      expect(signals).toHaveLength(1);
      // The walk of a closure gives each request a signal of its own, which follows this one.
      if (closure) expect(signals[0]).toBeDefined();
      else expect(signals[0]).toBe(signal);
    }
  });

  test("rejects with the reason of an abort, and leaves no incomplete path", async () => {
    const controller = new AbortController();
    const reason = new Error("enough");
    const to = createMemoryStore();
    const copying = copyBetweenStores(sample, to, [DEMO], {
      engine,
      signal: controller.signal,
      onProgress: ({ phase }) => phase === "verifying" && controller.abort(reason),
    });
    expect(await failure(copying)).toBe(reason);
    expect(await listed(to)).toEqual([]);
  });

  test("tells each path once it is there, dependencies first, also those that were there before", async () => {
    const to = createMemoryStore();
    const told: string[] = [];
    const onPath = async (storePath: string): Promise<void> => {
      expect(await to.pathInfos.get(storePath.slice(11, 43))).toBeDefined();
      told.push(storePath);
    };
    const { paths } = await copyBetweenStores(sample, to, [DEMO], { engine, onPath });
    expect(told).toHaveLength(paths);
    expect(told.at(-1)).toBe(DEMO);
    const first = told.splice(0);
    await to.pathInfos.delete(DEMO.slice(11, 43));
    expect(await copyBetweenStores(sample, to, [DEMO], { engine, onPath })).toMatchObject({ paths: 1, reused: first.length - 1 });
    expect(told).toEqual(first);
  });

  test("stops after the path at which onPath fails or aborts", async () => {
    const reason = new Error("enough");
    const controller = new AbortController();
    for (const onPath of [() => Promise.reject(reason), () => controller.abort(reason)]) {
      const to = createMemoryStore();
      const copying = copyBetweenStores(sample, to, [DEMO], { engine, onPath, signal: controller.signal });
      expect(await failure(copying)).toBe(reason);
      expect(await listed(to)).toHaveLength(1);
    }
    let asked = 0;
    const from = { ...sample, pathInfos: { ...sample.pathInfos, get: async () => void asked++ } };
    for (const closure of [true, false]) {
      const copying = copyBetweenStores(from, createMemoryStore(), [DEMO], { engine, closure, signal: AbortSignal.abort(reason) });
      expect(await failure(copying)).toBe(reason);
    }
    expect(asked).toBe(0);
  });

  test("asks the source for a path once, however often and in whatever form it is named", async () => {
    let asked = 0;
    const get = (hashPart: string) => {
      asked++;
      return sample.pathInfos.get(hashPart);
    };
    const from = { ...sample, pathInfos: { get, list: () => sample.pathInfos.list(), put: sample.pathInfos.put } };
    const to = createMemoryStore();
    const names = [DEMO, DEMO.slice(11), DEMO.slice(11, 43)];
    expect(await copyBetweenStores(from, to, names, { engine, closure: false })).toMatchObject({ paths: 1, reused: 0 });
    expect(asked).toBe(1);
    expect(await failure(copyBetweenStores(from, to, [`${DEMO}x`], { engine, closure: false }))).toMatchObject({
      code: "not-found",
    });
  });

  test("refuses a malformed path info of the source, and copies nothing", async () => {
    const info = (await sample.pathInfos.get(DEMO.slice(11, 43))) as PathInfo;
    const get = async () => ({ ...info, narSize: -1, references: [] });
    const from = { ...sample, pathInfos: { get, list: () => sample.pathInfos.list(), put: sample.pathInfos.put } };
    const to = createMemoryStore();
    expect(await failure(copyBetweenStores(from, to, [DEMO], { engine }))).toMatchObject({ name: "StoreError", code: "invalid" });
    expect(await listed(to)).toEqual([]);
  });

  describe("progress over several paths", () => {
    async function progress(from: StoreServices, to: StoreServices, paths: readonly PathInfo[], verify: boolean) {
      const steps: Progress[] = [];
      const onProgress = (step: Progress): void => void steps.push(step);
      await copyBetweenStores(
        from,
        to,
        paths.map(({ storePath }) => storePath),
        { engine, onProgress, verify },
      );
      return steps;
    }

    test("counts each path with the size of its NAR, whatever is copied", async () => {
      const from = createMemoryStore();
      const first = await importFiles(from, "first", { a: new Uint8Array(5000).fill(1) });
      const second = await importFiles(from, "second", { a: new Uint8Array(5000).fill(1), b: utf8("b") });
      const to = createMemoryStore();
      const steps = await progress(from, to, [first, second], true);
      const total = first.narSize + second.narSize;
      expect(steps.every((step) => step.unit === "bytes" && step.total === total)).toBe(true);
      const phases = (phase: string) => steps.filter((step) => step.phase === phase).map(({ loaded }) => loaded);
      // The content of the first path, and then its whole size.
      expect(phases("copying").slice(0, 2)).toEqual([5000, first.narSize]);
      expect(phases("copying").at(-1)).toBe(total);
      expect(phases("verifying")).toContain(first.narSize);
      expect(phases("verifying").at(-1)).toBe(total);
      // The first path is verified before the second one is copied.
      expect(steps.findIndex((step) => step.phase === "verifying")).toBeLessThan(
        steps.findIndex((step) => step.phase === "copying" && step.loaded > first.narSize),
      );
      // No progress is reported twice.
      expect(new Set(steps.map(({ phase, loaded }) => `${phase} ${loaded}`)).size).toBe(steps.length);
    });

    test("has no verifying if nothing is verified, and none at all if nothing is missing", async () => {
      const from = createMemoryStore();
      const info = await importFiles(from, "first", { a: utf8("a") });
      const to = createMemoryStore();
      const steps = await progress(from, to, [info], false);
      expect([...new Set(steps.map(({ phase }) => phase))]).toEqual(["copying"]);
      expect(steps.at(-1)?.loaded).toBe(info.narSize);
      expect(await progress(from, to, [info], true)).toEqual([]);
    });
  });

  describe("a remote that calculates NARs", () => {
    async function copyWith(answers: readonly (StoreError | "right")[], files: Record<string, Uint8Array> = { a: utf8("a") }) {
      const from = createMemoryStore();
      const info = await importFiles(from, "thing", files);
      const to = createMemoryStore();
      let asked = 0;
      let puts = 0;
      const { putMany } = to.blobs;
      to.blobs.putMany = (...args) => {
        puts++;
        return putMany.apply(to.blobs, args);
      };
      const report = await copyBetweenStores(from, to, [info.storePath], {
        engine,
        async calculateNar(node) {
          expect(node).toEqual(info.node);
          const answer = answers[asked++];
          if (answer === "right") return { narSize: info.narSize, narHash: info.narHash };
          throw answer ?? new Error("nobody asked for more");
        },
      }).catch((error: unknown) => error);
      return { report, asked, puts, there: await listed(to) };
    }

    test("is believed", async () => {
      expect(await copyWith(["right"])).toMatchObject({ report: { paths: 1, objects: 2, bytes: 1 }, asked: 1, puts: 1 });
    });

    test.each(["not-found", "conflict", "corrupt"] as const)(
      "gets the whole content again if it says %s, and the report counts both copies",
      async (code) => {
        const missing = new StoreError(code, "a blob is missing");
        const again = await copyWith([missing, "right"]);
        // The root and the blob, and then the root again: the target still has the blob.
        expect(again).toMatchObject({ report: { paths: 1, objects: 3, bytes: 1 }, asked: 2 });
        expect(again.there).toHaveLength(1);
        expect(await copyWith([missing, missing])).toMatchObject({ report: missing, asked: 2, there: [] });
      },
    );

    test.each(["unavailable", "denied", "quota"] as const)("is not asked again if it says %s", async (code) => {
      const error = new StoreError(code, "no");
      expect(await copyWith([error])).toMatchObject({ report: error, asked: 1, there: [] });
    });
  });

  test("content that does not match is corrupt at once if this thread calculates the NAR", async () => {
    const from = createMemoryStore();
    const truth = await importFiles(from, "lie", { a: utf8("a") });
    await from.pathInfos.delete(truth.storePath.slice(11, 43));
    await from.pathInfos.put({ ...truth, narHash: "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=" });
    const to = createMemoryStore();
    let puts = 0;
    const { put } = to.directories;
    to.directories.put = (...args) => {
      puts++;
      return put.apply(to.directories, args);
    };
    expect(await failure(copyBetweenStores(from, to, [truth.storePath], { engine }))).toMatchObject({ code: "corrupt" });
    expect(puts).toBe(1);
  });

  test("reads chunks at the target on request", async () => {
    const from = createMemoryStore();
    const to = createMemoryStore();
    const large = new Uint8Array(3_000_000).map((_, i) => (i * i) >>> 7);
    const info = await importFiles(from, "large", { large });
    const changed = large.slice();
    changed[0] = 1 + (changed[0] as number);
    await importFiles(to, "other", { changed });
    const copy = (reuseChunks: boolean, target: LocalStoreServices) =>
      copyBetweenStores(from, target, [info.storePath], { engine, reuseChunks });
    expect((await copy(false, createMemoryStore())).bytes).toBe(large.length);
    expect((await copy(true, to)).bytes).toBeLessThan(large.length / 2);
    expect(await to.pathInfos.get(info.storePath.slice(11, 43))).toEqual(info);
  });
});
