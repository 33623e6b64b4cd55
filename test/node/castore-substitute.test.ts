import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { connectCacheCastore } from "../../src/backends/cache-castore.ts";
import { createMemoryStore, MemoryChunkStore, MemoryDirectoryStore } from "../../src/backends/memory.ts";
import { EMPTY_BYTES, toBase64Url } from "../../src/bytes.ts";
import { ChunkedBlobService } from "../../src/castore/chunked-blobs.ts";
import { digestKey, digestOf, EMPTY_DIGEST } from "../../src/castore/digest.ts";
import { encodeNode } from "../../src/castore/directory-codec.ts";
import { StoredDirectoryService } from "../../src/castore/directory-store.ts";
import { NodeHashEngine } from "../../src/node/node-hash-engine.ts";
import { rpcRoutes } from "../../src/node/rpc/routes.ts";
import { startServer } from "../../src/node/server.ts";
import { BinaryCache } from "../../src/store/binary-cache.ts";
import { calculateNar } from "../../src/store/nar.ts";
import { narUrl, renderNarInfo } from "../../src/store/nar-info.ts";
import type { PathInfo } from "../../src/store/path-info.ts";
import type { LocalStoreServices, StoreServices } from "../../src/store/services.ts";
import { type SubstituteOptions, substitutePaths } from "../../src/store/substitute.ts";
import { withMethods } from "../castore/with-methods.ts";
import { pseudoRandom } from "../conformance/content.ts";
import { serviceFlags } from "../setup/service-flags.ts";
import { importFiles } from "../store/fixtures.ts";
import { startCache } from "./cache-server.ts";
import { runCli } from "./run-cli.ts";

const engine = new NodeHashEngine();

/** Files of 12 MB: one large file, and many small ones in some directories. */
function firstVersion(): Record<string, Uint8Array> {
  const files: Record<string, Uint8Array> = { "lib/large": pseudoRandom(8_000_000, 1) };
  for (let i = 0; i < 200; i++) files[`share/${i % 10}/${i}`] = pseudoRandom(20_000, 1000 + i);
  return files;
}

/**
 * Files of which one percent differs: bytes in the middle of the large file, and some small files.
 */
function secondVersion(): Record<string, Uint8Array> {
  const files = firstVersion();
  files["lib/large"]?.set(pseudoRandom(60_000, 7), 4_000_000);
  for (const i of [3, 50, 177]) files[`share/${i % 10}/${i}`] = pseudoRandom(20_000, 2000 + i);
  return files;
}

/** Counts the bytes and calls that go through `fetch`. */
class Wire {
  bytes = 0;
  calls: string[] = [];

  readonly fetch: typeof globalThis.fetch = async (url, init) => {
    this.calls.push(new URL(String(url)).pathname);
    if (init?.body) this.bytes += (await new Response(init.body).arrayBuffer()).byteLength;
    const response = await originalFetch(url, init);
    const count = new TransformStream<Uint8Array, Uint8Array>({
      transform: (piece, controller) => {
        this.bytes += piece.length;
        controller.enqueue(piece);
      },
    });
    return new Response(response.body?.pipeThrough(count) ?? null, response);
  };

  /** Returns the counts, and resets them. */
  take(): { bytes: number; nars: number; calls: number } {
    const counted = {
      bytes: this.bytes,
      nars: this.calls.filter((path) => path.startsWith("/nar/")).length,
      calls: this.calls.filter((path) => path.includes(".v1.")).length,
    };
    this.bytes = 0;
    this.calls = [];
    return counted;
  }
}
const originalFetch = globalThis.fetch;

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  vi.unstubAllGlobals();
  for (const close of closing.splice(0)) await close();
});

async function serve(store: StoreServices, services: StoreServices | null = store): Promise<string> {
  const server = await startCache(store, services);
  closing.push(() => server.close());
  return server.address;
}

function substitute(
  to: StoreServices,
  url: string,
  info: PathInfo,
  fetch = originalFetch,
  options: Partial<SubstituteOptions> = {},
) {
  const castore = connectCacheCastore(url, engine, { fetch });
  return substitutePaths(to, new BinaryCache(url, { fetch }), [info.storePath], {
    engine,
    trust: { keys: [] },
    castore,
    ...options,
  });
}

async function expectWhole(store: StoreServices, expected: PathInfo): Promise<PathInfo> {
  const found = await store.pathInfos.get(expected.storePath.slice(11, 43));
  if (!found) throw new Error("it is not there");
  expect(await calculateNar(store, engine, found.node)).toEqual({ narSize: expected.narSize, narHash: expected.narHash });
  return found;
}

/** A store in memory that tests copy. Each import of 12 MB would take much longer than a copy. */
class Made {
  readonly chunks = new MemoryChunkStore();
  readonly directories = new MemoryDirectoryStore();
  readonly services: LocalStoreServices = {
    ...createMemoryStore(),
    blobs: new ChunkedBlobService(this.chunks, engine),
    directories: new StoredDirectoryService(this.directories),
  };

  async copy(): Promise<Made> {
    const made = new Made();
    for (const [key, entry] of this.chunks.blobs) made.chunks.blobs.set(key, entry);
    for (const [key, bytes] of this.chunks.chunks) made.chunks.chunks.set(key, bytes);
    for (const [key, bytes] of this.directories.directories) made.directories.directories.set(key, bytes);
    for await (const info of this.services.pathInfos.list()) await made.services.pathInfos.put(info);
    return made;
  }
}

const withFirstOnly = new Made();
const withSecondOnly = new Made();
let source: LocalStoreServices;
let first: PathInfo;
let second: PathInfo;
beforeAll(async () => {
  first = await importFiles(withFirstOnly.services, "data-1", firstVersion());
  second = await importFiles(withSecondOnly.services, "data-2", secondVersion());
  source = (await withFirstOnly.copy()).services;
  await importFiles(source, "data-2", secondVersion());
});

const keyOf = (content: Uint8Array): string => digestKey(digestOf(content));

/** Encodes a file node in base64url. */
function urlOf(size: bigint): string {
  return toBase64Url(encodeNode(EMPTY_BYTES, { kind: "file", digest: EMPTY_DIGEST, size, executable: false }));
}

/** Makes a store that has the first version. */
async function withFirst(): Promise<LocalStoreServices> {
  return (await withFirstOnly.copy()).services;
}

/** Makes a store that has the second version, and returns its chunk store for tests to damage. */
async function spoilable(): Promise<[LocalStoreServices, MemoryChunkStore]> {
  const { services, chunks } = await withSecondOnly.copy();
  return [services, chunks];
}

describe("the second version of a path, which differs in one percent", () => {
  test("transfers less than an eighth of it with a page's code, if the first version came as a NAR", async () => {
    const wire = new Wire();
    const url = await serve(source);
    const store = createMemoryStore();
    await substitute(store, url, first, wire.fetch);
    const full = wire.take();
    expect(full.nars).toBe(1);
    expect(full.bytes).toBeGreaterThan(12_000_000);

    const loaded: number[] = [];
    const report = await substitute(store, url, second, wire.fetch, { onProgress: (progress) => loaded.push(progress.loaded) });
    expect(report).toEqual({ paths: 1, bytes: second.narSize, reused: 0, retried: 0, failed: 0 });
    const part = wire.take();
    expect(part.nars).toBe(0);
    expect(part.bytes).toBeLessThan(full.bytes / 8);
    expect(loaded.at(-1)).toBe(second.narSize);
    expect(loaded).toEqual([...loaded].sort((a, b) => a - b));
    expect((await expectWhole(store, second)).node).toEqual(second.node);
  });

  test("transfers less than an eighth of it on the command line", async () => {
    const wire = new Wire();
    vi.stubGlobal("fetch", wire.fetch);
    const dir = await mkdtemp(join(tmpdir(), "tvix-castore-"));
    closing.push(() => rm(dir, { recursive: true }));
    const services = serviceFlags(`file:${dir}`);
    const copy = ["copy", ...services, "--from", `nix+${await serve(source)}`];
    expect(await runCli([...copy, first.storePath])).toMatchObject({ status: 0 });
    const full = wire.take();
    expect(full.bytes).toBeGreaterThan(12_000_000);
    expect(await runCli([...copy, second.storePath])).toMatchObject({ status: 0 });
    const part = wire.take();
    expect(part.nars).toBe(0);
    expect(part.bytes).toBeLessThan(full.bytes / 8);
    expect((await runCli(["export", ...services, second.storePath])).stdout).toHaveLength(second.narSize);
  });

  test("transfers as little to a daemon, and reads no unchanged files back to verify them", async () => {
    const wire = new Wire();
    const to = await withFirst();
    const read: number[] = [];
    const { blobs } = to;
    const watched = withMethods(blobs, {
      open(digest, options) {
        read.push(1);
        return blobs.open(digest, options);
      },
    });
    const daemon = await startServer(
      { host: "127.0.0.1", port: 0 },
      // This counts the reads of RPC calls, not those of the daemon itself.
      {
        routes: rpcRoutes(
          { ...to, blobs: watched },
          { engine, calculateNar: (node, options) => calculateNar(to, engine, node, options) },
        ),
      },
    );
    closing.push(() => daemon.close());
    const services = serviceFlags(`grpc+${daemon.address}`);
    vi.stubGlobal("fetch", wire.fetch);
    const run = await runCli(["copy", ...services, "--from", `nix+${await serve(source)}`, second.storePath]);
    expect(run).toMatchObject({ status: 0, stderr: "" });
    expect(wire.take().nars).toBe(0);
    // Chunks of the large file are read, but no small files.
    expect(read.length).toBeLessThan(60);
    await expectWhole(to, second);
  });

  test("keeps the digests of the cache's directories", async () => {
    const other = createMemoryStore();
    const doubled = await importFiles(other, "data-2", secondVersion(), "doubled");
    expect(doubled.node).not.toEqual(second.node);
    const wire = new Wire();
    const store = await withFirst();
    await substitute(store, await serve(other), doubled, wire.fetch);
    expect(wire.take().nars).toBe(0);
    const { node } = await expectWhole(store, second);
    expect(node).toEqual(doubled.node);
  });
});

describe("the NAR is used", () => {
  test("if there are no castore services, and these are tried once", async () => {
    const wire = new Wire();
    const url = await serve(source, null);
    const store = await withFirst();
    const castore = connectCacheCastore(url, engine, { fetch: wire.fetch });
    const third = await importFiles(source, "data-3", { ...secondVersion(), more: pseudoRandom(1000, 3) });
    const cache = new BinaryCache(url, { fetch: wire.fetch });
    const paths = [second.storePath, third.storePath];
    await substitutePaths(store, cache, paths, { engine, trust: { keys: [] }, castore, concurrency: 1 });
    for (const info of [second, third]) await expectWhole(store, info);
    const { nars, calls } = wire.take();
    expect(nars).toBe(2);
    expect(calls).toBeLessThanOrEqual(2);
  });

  test("if the castore services lack content", async () => {
    const wire = new Wire();
    const store = await withFirst();
    await substitute(store, await serve(source, createMemoryStore()), second, wire.fetch);
    expect(wire.take().nars).toBe(1);
    await expectWhole(store, second);
  });

  test("if the target daemon calculates a different NAR", async () => {
    const wire = new Wire();
    const store = await withFirst();
    const other = async () => ({ narSize: first.narSize, narHash: first.narHash });
    await substitute(store, await serve(source), second, wire.fetch, { calculateNar: other });
    expect(wire.take().nars).toBe(1);
    await expectWhole(store, second);
  });

  test("if the castore services lack a blob", async () => {
    const wire = new Wire();
    const [services, partial] = await spoilable();
    const small = pseudoRandom(20_000, 2050);
    partial.chunks.delete(keyOf(small));
    partial.blobs.delete(keyOf(small));
    const store = await withFirst();
    await substitute(store, await serve(source, services), second, wire.fetch);
    expect(wire.take()).toMatchObject({ nars: 1 });
    await expectWhole(store, second);
  });

  test.each<[string, (url: string) => string]>([
    ["another node of the same size", () => narUrl(first.node, second.narSize)],
    [
      "an existing directory with a larger size",
      () => narUrl({ ...second.node, size: 400n } as typeof second.node, second.narSize),
    ],
    ["a file that is longer than the NAR", (url) => url.replace(/castore\/[^?]*/, `castore/${urlOf(2n ** 60n)}`)],
    ["an invalid node", (url) => url.replace(/castore\/[^?]*/, "castore/AAAA")],
    ["another size", (url) => `${url}0`],
  ])("if the URL names %s", async (_, change) => {
    const right = narUrl(second.node, second.narSize);
    const other = change(right);
    const wire = new Wire();
    const url = await serve(source);
    const store = await withFirst();
    const lying: typeof fetch = async (request, init) => {
      const path = String(request).slice(url.length + 1);
      if (path.endsWith(".narinfo")) return new Response(renderNarInfo(second).replace(right, () => other));
      return wire.fetch(path === other ? `${url}/${right}` : request, init);
    };
    await substitute(store, url, second, lying);
    expect(wire.take().nars).toBe(1);
    await expectWhole(store, second);
  });
});

test("content that does not match its digest is an error, and the path stays invisible", async () => {
  const [services, spoilt] = await spoilable();
  spoilt.chunks.set(keyOf(pseudoRandom(20_000, 2050)), pseudoRandom(20_000, 1));
  const store = await withFirst();
  const url = await serve(source, services);
  await expect(substitute(store, url, second)).rejects.toMatchObject({ name: "StoreError", code: "corrupt" });
  expect(await store.pathInfos.get(second.storePath.slice(11, 43))).toBeUndefined();
});

test("a local directory whose content is incomplete is not used", async () => {
  const wire = new Wire();
  const [store, holed] = await spoilable();
  await store.pathInfos.delete(second.storePath.slice(11, 43));
  const small = pseudoRandom(20_000, 2050);
  expect(holed.chunks.delete(keyOf(small))).toBe(true);
  holed.blobs.delete(keyOf(small));
  await substitute(store, await serve(source), second, wire.fetch);
  const { nars, bytes } = wire.take();
  expect(nars).toBe(0);
  expect(bytes).toBeLessThan(second.narSize / 10);
  await expectWhole(store, second);
});

test("an abort rejects with its reason", async () => {
  const store = await withFirst();
  const url = await serve(source);
  const controller = new AbortController();
  const aborting: typeof fetch = async (request, init) => {
    if (String(request).includes("BlobService/Read")) controller.abort(new Error("enough"));
    return originalFetch(request, init);
  };
  await expect(substitute(store, url, second, aborting, { signal: controller.signal })).rejects.toThrow("enough");
  expect(await store.pathInfos.get(second.storePath.slice(11, 43))).toBeUndefined();
});
