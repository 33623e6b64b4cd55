import { afterEach, expect, test } from "vitest";
import { equalBytes, fromBase64, toBase64, utf8 } from "../../src/bytes.ts";
import { openStore, type PathInfo, type Progress, type Store } from "../../src/index.ts";
import { pseudoRandom, readAll } from "../conformance/content.ts";
import { watchPorts } from "../thread/watched-ports.ts";
import { narOf } from "../worker/trees.ts";
import { EXPORT_BASE64 } from "./nario-of-nix.ts";

/** Saves a store to one file and loads it again. */

const opened: Store[] = [];
afterEach(async () => {
  for (const store of opened.splice(0)) await store.close();
});

async function open(): Promise<Store> {
  const store = await openStore(crypto.randomUUID(), { workers: 1 });
  opened.push(store);
  return store;
}

const PATHS = [
  "/nix/store/jn8hsc1hh5smdznh7w69bcjlg3s7c5ki-case-lib-1.0",
  "/nix/store/fff4cbjb6mak2853fn8wnhi4zsyi3y6j-case-selfish+2.0",
] as const;

async function listed(store: Store): Promise<PathInfo[]> {
  const infos: PathInfo[] = [];
  for await (const info of store.pathInfos()) infos.push(info);
  return infos;
}

test("the output of nix-store --export is imported, and exported with the same bytes", async () => {
  const nario = fromBase64(EXPORT_BASE64);
  const store = await open();
  const infos = await store.importNario(new Blob([nario as Uint8Array<ArrayBuffer>]));
  expect(infos.map(({ storePath }) => storePath)).toEqual(PATHS);
  expect(equalBytes((await readAll(store.nario([PATHS[1]]))) ?? new Uint8Array(), nario)).toBe(true);
  // A path without its reference can't be imported into a store that lacks the reference.
  const alone = await new Response(store.nario([PATHS[1]], { closure: false })).blob();
  expect(alone.size).toBeLessThan(nario.length);
  await expect((await open()).importNario(alone)).rejects.toMatchObject({ code: "not-found" });
});

test("a whole store is saved compressed and loaded, with signatures and content addresses", async () => {
  const store = await open();
  await store.importNario(new Blob([fromBase64(EXPORT_BASE64) as Uint8Array<ArrayBuffer>]));
  const large = toBase64(pseudoRandom(2_000_000, 3));
  await store.importNar(new Blob(narOf({ a: { b: large }, c: "c" })), { name: "large" });
  const signature = `key-1:${toBase64(pseudoRandom(64, 4))}`;
  const narInfo = `${await store.narInfo(PATHS[0])}Sig: ${signature}\n`;
  await store.importNar(store.nar(PATHS[0]), { narInfo });
  const before = await listed(store);
  expect(before.some(({ signatures }) => signatures.includes(signature))).toBe(true);
  expect(before.some(({ ca }) => ca !== undefined)).toBe(true);

  const progress: Progress[] = [];
  const saved = store.nario(undefined, { onProgress: (step) => progress.push(step) });
  const gzip: ReadableWritablePair = new CompressionStream("gzip");
  const compressed = await new Response(saved.pipeThrough(gzip)).blob();
  expect(progress.at(-1)).toMatchObject({ loaded: before.reduce((sum, { narSize }) => sum + narSize, 0) });
  const other = await open();
  await other.importNario(compressed);
  expect(await listed(other)).toEqual(before);
});

test("a nario without notes has no content addresses, like one from Nix", async () => {
  const store = await open();
  const { storePath } = await store.importNar(new Blob(narOf({ a: "a" })), { name: "addressed" });
  const [back] = await (await open()).importNario(store.nario([storePath], { notes: false }));
  expect(back).toMatchObject({ storePath, ca: undefined });
});

test("an abort of either direction rejects with its reason, and a missing path is not-found", async () => {
  const store = await open();
  const { storePath } = await store.importNar(new Blob(narOf({ a: toBase64(pseudoRandom(2_000_000, 5)) })), { name: "x" });
  const controller = new AbortController();
  const reason = new Error("enough");
  const reader = store.nario([storePath], { signal: controller.signal }).getReader();
  await reader.read();
  controller.abort(reason);
  const rest = async () => {
    while (!(await reader.read()).done);
  };
  await expect(rest()).rejects.toBe(reason);
  const endless = new ReadableStream<Uint8Array>({ pull: (stream) => stream.enqueue(utf8("\x01\0\0\0\0\0\0\0")) });
  await expect(store.importNario(endless, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  await expect(readAll(store.nario(["/nix/store/00bgd045z0d4icpbc2yyz4gx48ak44la-missing"]))).rejects.toMatchObject({
    code: "not-found",
  });
});

test("a nario that is cancelled leaves no port open, read or not", async () => {
  const store = await open();
  await store.importDirectory([new File(["a"], "a")], { name: "a" });
  const ports = watchPorts();
  try {
    await store.nario().cancel();
    const reader = store.nario().getReader();
    await reader.read();
    await reader.cancel();
    expect(ports.made.length).toBeGreaterThan(1);
    expect(ports.open()).toEqual([]);
  } finally {
    ports.restore();
  }
});
