import { afterEach, describe, expect, test } from "vitest";
import { equalBytes, utf8 } from "../../src/bytes.ts";
import { connectRemote, openStore, type Progress, type Store, StoreError } from "../../src/index.ts";
import { NarWriter } from "../../src/nix/nar-writer.ts";
import { pseudoRandom, readAll } from "../conformance/content.ts";
import { STORE_DAEMONS } from "../conformance/daemon-urls.ts";
import { watchPorts } from "../thread/watched-ports.ts";
import { narOf } from "../worker/trees.ts";

const opened: Store[] = [];
afterEach(async () => {
  for (const store of opened.splice(0)) await store.close();
});

async function open(name: string = crypto.randomUUID()): Promise<Store> {
  const store = await openStore(name, { workers: 1 });
  opened.push(store);
  return store;
}

/** Calls `start`, and returns its result and the worker that it starts synchronously. */
function withWorker<T>(start: () => T): [result: T, worker: Worker] {
  const Original = globalThis.Worker;
  let started: Worker | undefined;
  globalThis.Worker = class extends Original {
    constructor(url: string | URL, options?: WorkerOptions) {
      super(url, options);
      started = this;
    }
  };
  const result = start();
  globalThis.Worker = Original;
  if (!started) throw new Error("no worker was started");
  return [result, started];
}

const LARGE = pseudoRandom(2_000_000, 5);

/**
 * The NAR of a directory with a text, a large file, an executable, a symlink and a name that is not
 * UTF-8.
 */
function sampleNar(label = "hello"): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array[] = [];
  const writer = new NarWriter((bytes) => parts.push(bytes.slice()));
  const file = (name: Uint8Array, content: Uint8Array, executable = false): void => {
    writer.entry(name);
    writer.file(content.length, executable);
    writer.content(content);
    writer.endFile();
  };
  writer.directory();
  file(utf8("a.txt"), utf8(label));
  writer.entry(utf8("bin"));
  writer.directory();
  file(utf8("run"), utf8("#!/bin/sh\n"), true);
  writer.leave();
  file(utf8("large"), LARGE);
  writer.entry(utf8("link"));
  writer.symlink(utf8("a.txt"));
  file(new Uint8Array([0xff, 0xfe]), utf8("odd"));
  writer.leave();
  writer.end();
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}

function streamInPieces(bytes: Uint8Array, size: number): ReadableStream<Uint8Array> {
  let offset = 0;
  return new ReadableStream({
    async pull(controller) {
      if (offset >= bytes.length) controller.close();
      else controller.enqueue(bytes.slice(offset, offset + size));
      offset += size;
      await new Promise((resolve) => setTimeout(resolve, 1));
    },
  });
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

describe("an imported store path", () => {
  // test/nix/make-fixtures.sh got these paths from real Nix.
  test("has the path that Nix calculates from its method, hash and references", async () => {
    const store = await open();
    const flat = (hashAlgorithm: "md5" | "sha256" | "sha512") =>
      store.importFile(new Blob(["flat\n"]), { name: "flat", method: "flat", hashAlgorithm }).then(({ storePath }) => storePath);
    expect(await flat("md5")).toBe("/nix/store/6rcvw2fcyp9njvxd90zwi62ijbvcb2xs-flat");
    expect(await flat("sha256")).toBe("/nix/store/ca1y6c916z1ck1dxi4rcrsfs9rzp728w-flat");
    expect(await flat("sha512")).toBe("/nix/store/y9sj5krjjwdss273phhinkp21fhw0lc3-flat");

    const a = "/nix/store/6kf2ly9l4dfgd4pxahsinwwcpks2l3sp-text-a";
    const textB = (onProgress?: (step: Progress) => void) =>
      store.importFile(streamInPieces(utf8(`b ${a}`), 7), { name: "text-b", method: "text", references: [a], onProgress });
    await expect(textB()).rejects.toMatchObject({ code: "not-found" });
    expect((await store.importFile(new Blob(["a"]), { name: "text-a", method: "text" })).storePath).toBe(a);
    const progress: Progress[] = [];
    const b = await textB((step) => progress.push(step));
    expect(b).toMatchObject({ storePath: "/nix/store/qazc45yhbz4h7v2c8j64v903kxmrr033-text-b", references: [a.slice(11)] });
    expect(progress.at(-1)).toEqual({ phase: "hashing", unit: "bytes", loaded: b.narSize, total: b.narSize });
    expect(await (await store.file(b.storePath))?.text()).toBe(`b ${a}`);
  });

  // test/nix/make-nix-2.34.sh got these paths from Nix 2.34.
  test("by git or BLAKE3 has the path and content address of Nix, and keeps them", async () => {
    const store = await open();
    const nar = await (await fetch(new URL("../nix/nix-2.34/sorted.nar", import.meta.url))).blob();
    for (const [method, hashAlgorithm, storePath, ca] of [
      ["git", "sha1", "/nix/store/qh4npm7h170hvd5k2q7v34hq8349113c-sorted", "fixed:git:sha1:"],
      ["git", "sha256", "/nix/store/97dvigzlzn96w45kn16w21w50kkqmljp-sorted", "fixed:git:sha256:"],
      ["nar", "blake3", "/nix/store/164cav9k9lpzml37jcqqs07ghdv6wjzw-sorted", "fixed:r:blake3:"],
    ] as const) {
      const info = await store.importNar(nar, { name: "sorted", method, hashAlgorithm });
      expect(info.storePath).toBe(storePath);
      expect(info.ca).toContain(ca);
      expect((await store.pathInfo(storePath))?.ca).toBe(info.ca);
      expect(await store.narInfo(storePath)).toContain(`CA: ${info.ca}\n`);
    }
    const mismatch = store.importNar(nar, { name: "x", method: "git", hashAlgorithm: "md5" });
    await expect(mismatch).rejects.toMatchObject({ code: "invalid" });
  });

  test("is listed, read and rendered again", async () => {
    const store = await open();
    const nar = sampleNar();
    const info = await store.importNar(new Blob([nar]), { name: "sample" });
    expect(await collect(store.pathInfos())).toEqual([info]);
    const base = info.storePath.replace("/nix/store/", "");
    for (const form of [info.storePath, base, base.slice(0, 32)]) expect(await store.pathInfo(form)).toEqual(info);

    const entries = await collect(store.list(info.storePath));
    expect(entries.map(({ name, kind, size, executable, target }) => ({ name, kind, size, executable, target }))).toEqual([
      { name: "a.txt", kind: "file", size: 5, executable: false, target: undefined },
      { name: "bin", kind: "directory", size: 1, executable: false, target: undefined },
      { name: "large", kind: "file", size: LARGE.length, executable: false, target: undefined },
      { name: "link", kind: "symlink", size: 5, executable: false, target: "a.txt" },
      { name: "\ufffd\ufffd", kind: "file", size: 3, executable: false, target: undefined },
    ]);
    expect((await collect(store.list(info.storePath, "bin"))).map(({ name, executable }) => [name, executable])).toEqual([
      ["run", true],
    ]);
    expect(await (await store.file(info.storePath, entries.at(-1)?.nameBytes))?.text()).toBe("odd");

    const rendered = await readAll(store.nar(info.storePath));
    expect(equalBytes(rendered ?? utf8("missing"), nar)).toBe(true);
    expect(await store.narInfo(info.storePath)).toContain(`StorePath: ${info.storePath}\nURL: nar/tvix-castore/`);
  });

  test("has files that behave like a Blob", async () => {
    const store = await open();
    const { storePath } = await store.importNar(new Blob([sampleNar()]), { name: "sample" });
    const file = await store.file(storePath, "large");
    const blob = new Blob([LARGE as Uint8Array<ArrayBuffer>]);
    expect(file?.size).toBe(blob.size);
    for (const [start, end] of [
      [undefined, undefined],
      [10, 20],
      [-10, undefined],
      [-10, -5],
      [5, 2],
      [1_000_000, 99_000_000],
      [99_000_000, undefined],
    ]) {
      const expected = new Uint8Array(await blob.slice(start, end).arrayBuffer());
      const actual = new Uint8Array((await file?.slice(start, end).arrayBuffer()) ?? new ArrayBuffer(1));
      expect(equalBytes(actual, expected)).toBe(true);
    }
    const part = file?.slice(100, 200).slice(-10);
    expect(equalBytes(new Uint8Array((await part?.arrayBuffer()) ?? new ArrayBuffer(0)), LARGE.subarray(190, 200))).toBe(true);
    expect(await store.file(storePath, "nothing")).toBeUndefined();
    expect(await store.file(storePath, "bin")).toBeUndefined();
  });

  test("is still there after the store is opened again", async () => {
    const name = crypto.randomUUID();
    const first = await openStore(name, { workers: 1 });
    const info = await first.importNar(new Blob([sampleNar()]), { name: "sample" });
    await first.close();
    const second = await open(name);
    expect(await second.pathInfo(info.storePath)).toEqual(info);
  });

  test("appears in other tabs, with an event", async () => {
    const name = crypto.randomUUID();
    const [mine, other] = [await open(name), await open(name)];
    const changed = Promise.all(
      [mine, other].map((store) => new Promise((resolve) => store.addEventListener("change", resolve, { once: true }))),
    );
    const { storePath } = await mine.importNar(new Blob([sampleNar()]), { name: "sample" });
    await changed;
    expect((await other.pathInfo(storePath))?.storePath).toBe(storePath);
  });

  test("appears in other tabs, although the pull of another path in the same call failed", async () => {
    const name = crypto.randomUUID();
    const [source, mine, other] = [await open(), await open(name), await open(name)];
    const tag = crypto.randomUUID();
    const infos = await Promise.all(
      // Other tests don't look for this content.
      ["one", "two", "three"].map((label) => source.importNar(new Blob(narOf({ [tag]: label })), { name: label })),
    );
    const paths = infos.map(({ storePath }) => storePath);
    await source.push(connectRemote(STORE_DAEMONS[0]), paths);
    const changed = new Promise((resolve) => other.addEventListener("change", resolve, { once: true }));
    const remote = connectRemote(STORE_DAEMONS[0], {
      fetch: async (input, init) => {
        for await (const _ of mine.pathInfos()) throw new TypeError("the network is gone");
        return fetch(input, init);
      },
    });
    await expect(mine.pull(remote, paths)).rejects.toMatchObject({ code: "unavailable" });
    await changed;
    expect(await collect(other.pathInfos())).toHaveLength(1);
  });

  test("has no files after it is deleted, here or in another tab", async () => {
    const name = crypto.randomUUID();
    const [mine, other] = [await open(name), await open(name)];
    for (const deleting of [mine, other]) {
      const { storePath } = await mine.importNar(new Blob([sampleNar()]), { name: "sample" });
      expect(await (await mine.file(storePath, "a.txt"))?.text()).toBe("hello");
      const changed = new Promise((resolve) => mine.addEventListener("change", resolve, { once: true }));
      await deleting.delete(storePath);
      await changed;
      await expect(mine.file(storePath, "a.txt")).rejects.toMatchObject({ code: "not-found" });
      await expect(collect(mine.list(storePath))).rejects.toMatchObject({ code: "not-found" });
    }
  });

  test("is deleted with its content, except for content that other paths use", async () => {
    const store = await open();
    const first = await store.importNar(new Blob([sampleNar("one")]), { name: "sample" });
    const second = await store.importNar(new Blob([sampleNar("two")]), { name: "sample" });
    expect(await store.delete(first.storePath)).toBe(true);
    expect(await store.delete(first.storePath)).toBe(false);
    const report = await store.collectGarbage();
    // The text, and the root directory that names it.
    expect(report.objects).toBe(2);
    expect(await store.collectGarbage()).toEqual({ objects: 0, bytes: 0 });
    expect(await store.pathInfo(first.storePath)).toBeUndefined();
    const rendered = await readAll(store.nar(second.storePath));
    expect(equalBytes(rendered ?? utf8("missing"), sampleNar("two"))).toBe(true);
  });
});

describe("a failure", () => {
  test("rejects with a StoreError that names the object, and leaves nothing", async () => {
    const store = await open();
    const nar = sampleNar();
    nar[nar.length - 20] = 0x21;
    const failure = await store.importNar(new Blob([nar]), { name: "broken" }).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(StoreError);
    expect(failure).toMatchObject({ code: "invalid" });
    await expect(store.importNar(new Blob([sampleNar().slice(0, 5000)]), { name: "cut" })).rejects.toMatchObject({
      code: "invalid",
    });
    await expect(store.importTar(new Blob([sampleNar()]), { name: "no-tar" })).rejects.toMatchObject({ code: "invalid" });
    await expect(store.importNar(new Blob([sampleNar()]), { name: "a/b" })).rejects.toMatchObject({ code: "invalid" });
    await expect(store.pathInfo("what")).rejects.toMatchObject({ code: "invalid" });
    const missing = "/nix/store/00000000000000000000000000000000-missing";
    expect(await store.pathInfo(missing)).toBeUndefined();
    expect(await store.narInfo(missing)).toBeUndefined();
    await expect(collect(store.list(missing))).rejects.toMatchObject({ code: "not-found" });
    await expect(readAll(store.nar(missing))).rejects.toMatchObject({ code: "not-found" });
    expect(await collect(store.pathInfos())).toEqual([]);
  });

  test("a NARInfo that does not match its NAR is refused", async () => {
    const store = await open();
    const info = await store.importNar(new Blob([sampleNar()]), { name: "sample" });
    const narInfo = (await store.narInfo(info.storePath)) ?? "";
    const other = await open();
    await expect(other.importNar(new Blob([sampleNar("other")]), { narInfo })).rejects.toMatchObject({ code: "corrupt" });
    expect(await collect(other.pathInfos())).toEqual([]);
    expect(await other.importNar(new Blob([sampleNar()]), { narInfo })).toMatchObject({
      storePath: info.storePath,
      narHash: info.narHash,
    });
  });

  test("a StoreError of the caller's stream is passed on", async () => {
    const store = await open();
    const stream = new ReadableStream<Uint8Array>({
      start(controller) {
        controller.enqueue(sampleNar().slice(0, 100));
      },
      pull(controller) {
        controller.error(new StoreError("denied", "no more of it"));
      },
    });
    await expect(store.importNar(stream, { name: "sample" })).rejects.toMatchObject({ code: "denied", message: "no more of it" });
  });

  /** Returns a stream that starts like a NAR, then errors. */
  function breaking(error: unknown): ReadableStream<Uint8Array> {
    return new ReadableStream<Uint8Array>({
      start(controller) {
        controller.enqueue(sampleNar().slice(0, 100));
      },
      pull(controller) {
        controller.error(error);
      },
    });
  }

  test.each([new TypeError("network error"), new DOMException("it has changed", "NotReadableError"), new Error("whatever")])(
    "%s of the caller's stream is `unavailable`, and names the import",
    async (error) => {
      const store = await open();
      for (const importing of [
        () => store.importNar(breaking(error), { name: "sample" }),
        () => store.importTar(breaking(error), { name: "sample" }),
        () => store.importFile(breaking(error), { name: "sample" }),
        () => store.importBlob(breaking(error), { pin: "sample" }),
      ]) {
        await expect(importing()).rejects.toMatchObject({
          code: "unavailable",
          message: expect.stringContaining("sample"),
          cause: { name: error.name, message: error.message },
        });
      }
      expect((await store.usage()).stored).toBe(0);
    },
  );

  test("an AbortError of the caller's stream stays an AbortError", async () => {
    const store = await open();
    const importing = store.importNar(breaking(new DOMException("the user left", "AbortError")), { name: "sample" });
    await expect(importing).rejects.toMatchObject({ name: "AbortError" });
  });
});

describe("a long operation", () => {
  test("reports its progress", async () => {
    const store = await open();
    const told: Progress[] = [];
    const nar = sampleNar();
    await store.importNar(new Blob([nar]), { name: "sample", onProgress: (progress) => told.push(progress) });
    const reading = told.filter(({ phase }) => phase === "reading");
    expect(reading.at(-1)).toEqual({ phase: "reading", unit: "bytes", loaded: nar.length, total: nar.length });
    expect(reading.every(({ loaded }, i) => i === 0 || loaded >= (reading[i - 1]?.loaded ?? 0))).toBe(true);
  });

  test("rejects with the reason of an abort, cancels the stream, and leaves the store usable", async () => {
    const store = await open();
    const controller = new AbortController();
    const reason = { why: "the user left" };
    let cancelled = false;
    const endless = new ReadableStream<Uint8Array>({
      start(stream) {
        stream.enqueue(sampleNar().slice(0, 100_000));
      },
      cancel() {
        cancelled = true;
      },
    });
    const importing = store.importNar(endless, { name: "sample", signal: controller.signal });
    setTimeout(() => controller.abort(reason), 100);
    await expect(importing).rejects.toBe(reason);
    await expect.poll(() => cancelled).toBe(true);
    await expect(store.importNar(new Blob([]), { name: "sample", signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    expect(await collect(store.pathInfos())).toEqual([]);
    await store.importNar(streamInPieces(sampleNar(), 50_000), { name: "sample" });
  });

  test("rejects when the store is closed, and cancels the caller's stream", async () => {
    const store = await open();
    let cancelled = false;
    const silent = new ReadableStream<Uint8Array>({
      cancel() {
        cancelled = true;
      },
    });
    const importing = store.importNar(silent, { name: "sample" });
    importing.catch(() => {});
    await store.close();
    await expect(importing).rejects.toMatchObject({ code: "closed" });
    expect([cancelled, silent.locked]).toEqual([true, false]);
    await expect(store.pathInfo("00000000000000000000000000000000")).rejects.toMatchObject({ code: "closed" });
  });

  test("rejects with `unavailable` when the worker dies", async () => {
    const [opening, worker] = withWorker(() => open());
    const store = await opening;
    let cancelled = false;
    const silent = new ReadableStream<Uint8Array>({
      cancel() {
        cancelled = true;
      },
    });
    const importing = store.importNar(silent, { name: "sample" });
    const reading = collect(store.pathInfos()).then(() => collect(store.pathInfos()));
    reading.catch(() => {});
    importing.catch(() => {});
    await reading;
    worker.terminate();
    await expect(importing).rejects.toMatchObject({ code: "unavailable" });
    expect([cancelled, silent.locked]).toEqual([true, false]);
    await expect(store.pathInfo("00000000000000000000000000000000")).rejects.toMatchObject({ code: "unavailable" });
  });

  test("opening ends at an abort, even while the worker waits for its database", async () => {
    const name = crypto.randomUUID();
    const database = `tvix-store-web:${name}`;
    const blocker = await new Promise<IDBDatabase>((resolve, reject) => {
      const request = indexedDB.open(database);
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
    // The deletion waits for the blocker, and a worker that opens the database waits for the
    // deletion.
    indexedDB.deleteDatabase(database);
    const controller = new AbortController();
    const reason = { why: "the user left" };
    const [opening, worker] = withWorker(() => openStore(name, { workers: 1, signal: controller.signal }));
    opening.catch(() => {});
    // At this point the worker listens, and the page tells it to open the store.
    await new Promise((resolve) => worker.addEventListener("message", resolve, { once: true }));
    await new Promise((resolve) => setTimeout(resolve, 100));
    controller.abort(reason);
    await expect(opening).rejects.toBe(reason);
    blocker.close();
    await expect(openStore(name, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });

  test("a worker script that can't be loaded is an error; the page does not wait for it", async () => {
    await expect(openStore("nowhere", { workerUrl: "/there-is-no-such-script.js" })).rejects.toMatchObject({ code: "unavailable" });
    await expect(openStore("no-workers", { workers: 0 })).rejects.toMatchObject({ code: "invalid" });
    await expect(openStore("")).rejects.toMatchObject({ code: "invalid" });
  });
});

describe.each(["connect", "grpc-web"] as const)("a daemon over %s", (protocol) => {
  test("pushes and pulls a closure, and transfers nothing twice", async () => {
    const url = STORE_DAEMONS[protocol === "connect" ? 0 : 1];
    const calls: string[] = [];
    const remote = connectRemote(url, {
      protocol,
      headers: { "x-test": "1" },
      fetch: (input, init) => {
        calls.push(String(input));
        return fetch(input, init);
      },
    });
    const store = await open();
    const info = await store.importNar(new Blob([sampleNar(protocol)]), { name: "sample" });
    const pushed = await store.push(remote, [info.storePath]);
    expect(pushed).toMatchObject({ paths: 1, reused: 0 });
    expect(pushed.bytes).toBeGreaterThan(LARGE.length - 1);
    expect(calls.length).toBeGreaterThan(3);
    expect(await store.push(remote, [info.storePath])).toEqual({ paths: 0, objects: 0, bytes: 0, reused: 1 });

    const other = await open();
    expect((await collect(other.remotePathInfos(remote))).map(({ storePath }) => storePath)).toContain(info.storePath);
    const told: Progress[] = [];
    const pulled = await other.pull(connectRemote(url, { protocol }), [info.storePath], {
      onProgress: (progress) => told.push(progress),
    });
    expect(pulled).toMatchObject({ paths: 1, reused: 0 });
    expect(told.at(-1)?.loaded).toBe(info.narSize);
    const rendered = await readAll(other.nar(info.storePath));
    expect(equalBytes(rendered ?? utf8("missing"), sampleNar(protocol))).toBe(true);
    expect(await other.pull(remote, [info.storePath])).toEqual({ paths: 0, objects: 0, bytes: 0, reused: 1 });
    await expect(other.pull(remote, ["00000000000000000000000000000000"])).rejects.toMatchObject({ code: "not-found" });
  });
});

test("the page's own fetch leaves no port open, and does not delay an abort", async () => {
  const store = await open();
  const ports = watchPorts();
  try {
    const remote = connectRemote(STORE_DAEMONS[0], { fetch: (...request) => fetch(...request) });
    const { storePath } = await store.importNar(new Blob([sampleNar("ports")]), { name: "sample" });
    await store.push(remote, [storePath]);
    for await (const _ of store.remotePathInfos(remote)) break;
    const deaf = connectRemote(STORE_DAEMONS[0], { fetch: () => new Promise(() => {}) });
    const controller = new AbortController();
    const pulling = store.pull(deaf, [storePath], { signal: controller.signal });
    setTimeout(() => controller.abort("enough"), 100);
    await expect(pulling).rejects.toBe("enough");
    expect(ports.made.length).toBeGreaterThan(5);
    expect(ports.open()).toEqual([]);
  } finally {
    ports.restore();
  }
});

test("a daemon that is not there is unavailable", async () => {
  const store = await open();
  await expect(store.pull(connectRemote("http://127.0.0.1:1"), ["00000000000000000000000000000000"])).rejects.toMatchObject({
    code: "unavailable",
  });
  expect(() => connectRemote("ftp://daemon")).toThrow(StoreError);
});
