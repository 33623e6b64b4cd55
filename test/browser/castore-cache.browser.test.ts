import { afterEach, expect, test, vi } from "vitest";
import { openStore as openInThread } from "../../src/in-thread.ts";
import { connectRemote, deleteStore, openStore, type PathInfo, type Store } from "../../src/index.ts";
import { pseudoRandom, readAll } from "../conformance/content.ts";
import { CACHE_DAEMON } from "../conformance/daemon-urls.ts";

const opened: [string, Store][] = [];
afterEach(async () => {
  vi.unstubAllGlobals();
  for (const [name, store] of opened.splice(0)) {
    await store.close();
    await deleteStore(name);
  }
});

async function open(how: (name: string) => Promise<Store>): Promise<Store> {
  const name = crypto.randomUUID();
  const store = await how(name);
  opened.push([name, store]);
  return store;
}

/** Files of one version, 5 MB in all. One percent of the bytes differs between the versions. */
function version(number: 1 | 2): File[] {
  const large = pseudoRandom(4_000_000, 1);
  if (number === 2) large.set(pseudoRandom(30_000, 2), 2_000_000);
  const contents = Array.from({ length: 50 }, (_, i) => pseudoRandom(20_000, (number === 2 && i === 7 ? 5000 : 1000) + i));
  return [large, ...contents].map((bytes, i) => new File([bytes as Uint8Array<ArrayBuffer>], `${i}`));
}

/** Counts the bytes and NARs that this thread fetches. It doesn't see what a worker fetches. */
function countFetched(): () => { bytes: number; nars: number } {
  let bytes = 0;
  let nars = 0;
  const { fetch } = globalThis;
  vi.stubGlobal("fetch", async (...request: Parameters<typeof fetch>) => {
    if (new URL(String(request[0])).pathname.startsWith("/nar/")) nars++;
    const response = await fetch(...request);
    const body = await response.arrayBuffer();
    bytes += body.byteLength;
    return new Response(body, response);
  });
  return () => {
    const counted = { bytes, nars };
    bytes = 0;
    nars = 0;
    return counted;
  };
}

test("the second version of a path, from a daemon that serves a binary cache, fetches only the changes", async () => {
  const source = await open((name) => openStore(name, { workers: 1 }));
  const versions: PathInfo[] = [];
  for (const number of [1, 2] as const) versions.push(await source.importDirectory(version(number), { name: `data-${number}` }));
  const paths = versions.map(({ storePath }) => storePath);
  await source.push(connectRemote(CACHE_DAEMON), paths);

  const store = await open((name) => openInThread(name));
  const take = countFetched();
  await store.importBinaryCache(CACHE_DAEMON, paths.slice(0, 1));
  const full = take();
  expect(full.nars).toBe(1);
  expect(full.bytes).toBeGreaterThan(5_000_000);
  const report = await store.importBinaryCache(CACHE_DAEMON, paths.slice(1));
  expect(report).toMatchObject({ paths: 1, bytes: versions[1]?.narSize });
  const part = take();
  expect(part.nars).toBe(0);
  expect(part.bytes).toBeLessThan(full.bytes / 3);
  expect((await readAll(store.nar(paths[1] as string)))?.length).toBe(versions[1]?.narSize);
  expect(await store.verify()).toMatchObject({ corrupt: [], missing: [], storePaths: [] });

  // The same import works in a worker.
  const other = await open((name) => openStore(name, { workers: 1 }));
  for (const path of paths) expect(await other.importBinaryCache(CACHE_DAEMON, [path])).toMatchObject({ paths: 1 });
  expect(await other.verify()).toMatchObject({ corrupt: [], missing: [], storePaths: [] });
});
