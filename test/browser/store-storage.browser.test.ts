import { afterEach, describe, expect, test } from "vitest";
import { concatBytes, equalBytes } from "../../src/bytes.ts";
import {
  connectRemote,
  deleteStore,
  type OpenStoreOptions,
  openStore,
  type PathInfo,
  type Store,
  StoreError,
} from "../../src/index.ts";
import { pseudoRandom, readAll } from "../conformance/content.ts";
import { STORE_DAEMONS } from "../conformance/daemon-urls.ts";
import { hasOpfs } from "../conformance/packed-backend.browser.ts";
import { long, narOf, type Tree } from "../worker/trees.ts";

type Storage = "opfs" | "indexeddb";
const STORAGES: readonly Storage[] = (await hasOpfs()) ? ["opfs", "indexeddb"] : ["indexeddb"];

const opened: Store[] = [];
afterEach(async () => {
  for (const store of opened.splice(0)) await store.close();
});

async function open(name: string = crypto.randomUUID(), options: OpenStoreOptions = {}): Promise<Store> {
  const store = await openStore(name, { workers: 1, ...options });
  opened.push(store);
  return store;
}

const TREE = { large: long(1), sub: { text: "below" }, text: "text" } satisfies Tree;

function put(store: Store, root: Tree | string | Uint8Array, name = "tree"): Promise<PathInfo> {
  return store.importNar(new Blob(narOf(root)), { name });
}

async function expectWhole(store: Store, info: PathInfo, root: Tree | string | Uint8Array): Promise<void> {
  const nar = await readAll(store.nar(info.storePath));
  expect(nar && equalBytes(nar, concatBytes(narOf(root)))).toBe(true);
}

async function expectClean(store: Store): Promise<void> {
  expect(await store.verify()).toMatchObject({ corrupt: [], missing: [], storePaths: [], refetched: 0 });
}

async function collectAll<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

function nextChange(store: Store): Promise<Event> {
  return new Promise((resolve) => store.addEventListener("change", resolve, { once: true }));
}

async function opfsDirectory(name: string): Promise<FileSystemDirectoryHandle> {
  const root = await navigator.storage.getDirectory();
  return (await root.getDirectoryHandle("tvix-store-web")).getDirectoryHandle(name);
}

async function packFiles(name: string): Promise<string[]> {
  return opfsDirectory(name).then(
    (directory) => collectAll(directory.keys()),
    () => [],
  );
}

function deleteDatabase(name: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.deleteDatabase(`tvix-store-web:${name}`);
    request.onsuccess = () => resolve();
    request.onerror = () => reject(request.error);
  });
}

describe.each(STORAGES)("a store whose storage is %s", (storage) => {
  const openIt = (name?: string): Promise<Store> => open(name, { storage });

  test("reports its usage", async () => {
    const store = await openIt();
    expect(store.storage).toBe(storage);
    const none = { count: 0, bytes: 0 };
    expect(await store.usage()).toMatchObject({
      storage,
      storePaths: 0,
      logical: 0,
      stored: 0,
      objects: { chunks: none, directories: none, blobs: none },
      packs: none,
    });
    const first = await put(store, TREE, "first");
    const second = await put(store, TREE, "second");
    const usage = await store.usage();
    expect(usage).toMatchObject({ storePaths: 2, logical: first.narSize + second.narSize });
    expect(usage.objects.directories.count).toBe(2);
    expect(usage.objects.blobs.count).toBe(1);
    // Chunks are stored once: "text", "below", and the chunks of the large file.
    expect(usage.objects.chunks.bytes).toBe(TREE.large.length + "textbelow".length);
    expect(usage.stored).toBe(usage.objects.chunks.bytes + usage.objects.directories.bytes + usage.objects.blobs.bytes);
    expect(usage.packs).toEqual({ count: 1, bytes: usage.stored });
    // WebKitGTK has no `navigator.storage`.
    if ("storage" in navigator) {
      expect(usage.quota).toBeGreaterThan(usage.stored);
      expect(usage.persisted).toBe(await navigator.storage.persisted());
    }
    // Firefox asks its user for permission and waits.
    if (!navigator.userAgent.includes("Firefox")) expect(typeof (await store.persist())).toBe("boolean");

    await store.delete(first.storePath);
    await store.delete(second.storePath);
    expect(await store.usage()).toMatchObject({ storePaths: 0, logical: 0, stored: usage.stored, packs: usage.packs });
    const report = await store.collectGarbage();
    expect(report).toEqual({
      objects: usage.objects.chunks.count + usage.objects.directories.count + usage.objects.blobs.count,
      bytes: usage.stored,
    });
    expect(await store.usage()).toMatchObject({ stored: 0, packs: none });
  });

  test("keeps pinned content from being collected, and shows pins in every tab", async () => {
    const name = crypto.randomUUID();
    const [store, other] = [await openIt(name), await openIt(name)];
    const info = await put(store, TREE);
    await store.pin("b", info.storePath);
    await other.pin("a", info.storePath.slice(11, 43));
    expect((await other.pins()).map(({ name }) => name)).toEqual(["a", "b"]);
    expect((await store.pins())[0]?.node).toEqual(info.node);
    await store.delete(info.storePath);
    expect((await store.collectGarbage()).objects).toBe(0);
    expect(await store.unpin("a")).toBe(true);
    expect(await other.unpin("a")).toBe(false);
    expect((await other.collectGarbage()).objects).toBe(0);
    expect(await other.unpin("b")).toBe(true);
    expect((await store.collectGarbage()).objects).toBeGreaterThan(5);
    expect((await other.usage()).stored).toBe(0);
    await expect(store.pin("c", info.storePath)).rejects.toMatchObject({ code: "not-found" });
    await expect(store.pin("", info.storePath)).rejects.toMatchObject({ code: "invalid" });
    await expect(store.pin("c", "no path")).rejects.toMatchObject({ code: "invalid" });
    expect(await store.pins()).toEqual([]);
  });

  test("writes and reads a blob, also from a stream, and keeps it while it is pinned", async () => {
    const name = crypto.randomUUID();
    const [store, other] = [await openIt(name), await openIt(name)];
    const content = pseudoRandom(1_500_000, 8) as Uint8Array<ArrayBuffer>;
    const node = await store.importBlob(new Blob([content]), { pin: "mine" });
    expect(node).toMatchObject({ kind: "file", size: 1_500_000n });
    for (const each of [store, other]) {
      const [pin] = await each.pins();
      expect(pin).toEqual({ name: "mine", node });
      const file = each.blob(node);
      expect(file.size).toBe(content.length);
      expect(equalBytes(new Uint8Array(await file.arrayBuffer()), content)).toBe(true);
      const part = new Uint8Array(await file.slice(700_000, 700_010).arrayBuffer());
      expect(part).toEqual(content.slice(700_000, 700_010));
    }
    await store.collectGarbage();
    expect(equalBytes(new Uint8Array(await other.blob(node).arrayBuffer()), content)).toBe(true);
    // Another blob takes over the pin's name, so the first one becomes garbage.
    const text = await other.importBlob(new Blob(["a text"]).stream(), { pin: "mine" });
    expect(await other.blob(text).text()).toBe("a text");
    expect((await store.collectGarbage()).bytes).toBeGreaterThan(1_500_000);
    await expect(store.blob(node).text()).rejects.toMatchObject({ code: "not-found" });
    // The other tab notices this after it is notified.
    const asked = async (): Promise<unknown> =>
      (await other
        .blob(node)
        .text()
        .catch((error: unknown) => error)) instanceof StoreError;
    await expect.poll(asked).toBe(true);
    expect(await store.blob(text).text()).toBe("a text");
    const empty = await store.importBlob(new Blob([]), { pin: "empty" });
    expect([empty.size, await store.blob(empty).text()]).toEqual([0n, ""]);
    await expect(store.importBlob(new Blob(["x"]), { pin: "" })).rejects.toMatchObject({ code: "invalid" });
    await expectClean(other);
  });

  test("leaves nothing of a failed blob import, and keeps the earlier pin", async () => {
    const store = await openIt();
    const node = await store.importBlob(new Blob(["first"]), { pin: "mine" });
    const failing = new ReadableStream<Uint8Array>({
      pull(controller) {
        controller.enqueue(pseudoRandom(500_000, 3));
        if (controller.desiredSize !== null) controller.error(new TypeError("no more of it"));
      },
    });
    await expect(store.importBlob(failing, { pin: "mine" })).rejects.toThrow("no more of it");
    expect(await store.pins()).toEqual([{ name: "mine", node }]);
    expect((await store.usage()).stored).toBe("first".length);
    const reason = { why: "enough" };
    await expect(store.importBlob(new Blob(["x"]), { pin: "mine", signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });

  test("`verify` reports progress, can be aborted, and fetches damaged objects; other tabs see the repair", async () => {
    const name = crypto.randomUUID();
    const remote = connectRemote(STORE_DAEMONS[0]);
    const [store, other] = [await openIt(name), await openIt(name)];
    const label = `verify ${storage}`;
    const tree = { ...TREE, label };
    const info = await put(store, tree, "verified");
    await store.push(remote, [info.storePath]);
    const told: [number, number | undefined][] = [];
    const report = await store.verify({ onProgress: ({ loaded, total }) => told.push([loaded, total]) });
    const { stored } = await store.usage();
    expect(report).toMatchObject({ corrupt: [], missing: [], storePaths: [], refetched: 0, bytes: stored });
    expect(told.at(-1)).toEqual([stored, stored]);
    const reason = { why: "enough" };
    await expect(store.verify({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason);

    await expectWhole(other, info, tree);
    if (storage === "opfs") {
      // The file can't be changed while a handle is open.
      await store.close();
      await other.close();
      const directory = await opfsDirectory(name);
      const [file] = await collectAll(directory.keys());
      const handle = await directory.getFileHandle(file as string);
      const bytes = new Uint8Array(await (await handle.getFile()).arrayBuffer());
      bytes[1000] = (bytes[1000] as number) ^ 1;
      const writable = await handle.createWritable();
      await writable.write(bytes);
      await writable.close();
    } else {
      await store.close();
      await other.close();
      await changeSegment(name, (bytes) => bytes.map((byte, i) => (i === 1000 ? byte ^ 1 : byte)));
    }
    const [again, reader] = [await openIt(name), await openIt(name)];
    expect(again.losses).toEqual({ evicted: false, missingPacks: 0 });
    await expect(readAll(reader.nar(info.storePath))).rejects.toMatchObject({ code: "corrupt" });
    const damaged = await again.verify();
    expect(damaged.storePaths).toEqual([info.storePath]);
    expect(damaged.corrupt.length).toBeGreaterThan(0);
    expect(damaged.refetched).toBe(0);
    const changed = nextChange(reader);
    expect(await again.verify({ remote })).toMatchObject({ storePaths: [info.storePath], refetched: 1 });
    await expectClean(again);
    await expectWhole(again, info, tree);
    await changed;
    await expect
      .poll(async () =>
        readAll(reader.nar(info.storePath))
          .then((nar) => nar?.length)
          .catch((error: unknown) => error),
      )
      .toBe(info.narSize);
    await expectClean(reader);
  });

  test("reports changes in every tab: imports, deletions, blobs", async () => {
    const name = crypto.randomUUID();
    const [store, other] = [await openIt(name), await openIt(name)];
    let changes = [nextChange(store), nextChange(other)];
    const info = await put(store, TREE);
    await Promise.all(changes);
    await expectWhole(other, info, TREE);
    changes = [nextChange(store), nextChange(other)];
    expect(await other.delete(info.storePath)).toBe(true);
    await Promise.all(changes);
    expect(await store.pathInfo(info.storePath)).toBeUndefined();
    const stranger = await openIt();
    let told = 0;
    stranger.addEventListener("change", () => told++);
    changes = [nextChange(other)];
    await store.importBlob(new Blob(["x"]), { pin: "x" });
    await Promise.all(changes);
    expect(told).toBe(0);
  });

  test("is deleted with all its data, wherever it is open", async () => {
    const name = crypto.randomUUID();
    const [store, other] = [await openIt(name), await openIt(name)];
    const info = await put(store, TREE);
    // This opens the packs in the other tab.
    await expectWhole(other, info, TREE);
    await expectWhole(store, info, TREE);
    await deleteStore(name);
    if (storage === "opfs") expect(await packFiles(name)).toEqual([]);
    for (const each of [store, other]) {
      await expect(each.pathInfo(info.storePath)).rejects.toMatchObject({ code: "closed" });
      await expect(put(each, TREE)).rejects.toMatchObject({ code: "closed" });
    }
    const again = await openIt(name);
    expect(again.losses).toEqual({ evicted: false, missingPacks: 0 });
    expect(await collectAll(again.pathInfos())).toEqual([]);
    await expectWhole(again, await put(again, TREE), TREE);
    await deleteStore(crypto.randomUUID());
  });

  test("detects that the browser has evicted it", async () => {
    const name = crypto.randomUUID();
    const store = await openIt(name);
    expect(store.losses).toEqual({ evicted: false, missingPacks: 0 });
    await put(store, TREE);
    await store.close();
    expect((await openIt(name)).losses).toEqual({ evicted: false, missingPacks: 0 });
    await opened.pop()?.close();
    await deleteDatabase(name);
    const next = await openIt(name);
    expect(next.losses).toEqual({ evicted: true, missingPacks: 0 });
    expect(await collectAll(next.pathInfos())).toEqual([]);
    await expectWhole(next, await put(next, TREE), TREE);
    // The old store's files are garbage, so only the new pack stays.
    if (storage === "opfs") await expect.poll(async () => (await packFiles(name)).length).toBe(1);
    // The eviction is reported once.
    expect((await openIt(name)).losses.evicted).toBe(false);
  });

  test("counts missing packs, and reads the remaining content", async () => {
    const name = crypto.randomUUID();
    const store = await openIt(name);
    const first = await put(store, { text: "first" }, "first");
    const second = await put(store, { text: "second" }, "second");
    const third = await put(store, { text: "third" }, "third");
    await store.close();
    if (storage === "opfs") {
      const directory = await opfsDirectory(name);
      const [file] = await collectAll(directory.keys());
      await directory.removeEntry(file as string);
    } else {
      await changeSegment(name, () => undefined);
    }
    const again = await openIt(name);
    expect(again.losses).toEqual({ evicted: false, missingPacks: 1 });
    const report = await again.verify();
    expect(report.storePaths.length).toBe(1);
    expect(report.corrupt.length).toBe(2);
    for (const [info, text] of [
      [first, "first"],
      [second, "second"],
      [third, "third"],
    ] as const) {
      if (!report.storePaths.includes(info.storePath)) await expectWhole(again, info, { text });
      else await expect(readAll(again.nar(info.storePath))).rejects.toMatchObject({ code: "corrupt" });
    }
  });

  test("treats an empty store path as undamaged, and keeps it", async () => {
    const name = crypto.randomUUID();
    const store = await openIt(name);
    const [directory, file] = [await put(store, {}, "directory"), await put(store, "", "file")];
    await store.close();
    const again = await openIt(name);
    expect(again.losses).toEqual({ evicted: false, missingPacks: 0 });
    await again.collectGarbage();
    await expectWhole(again, directory, {});
    await expectWhole(again, file, "");
    await expectClean(again);
  });
});

/**
 * Changes the first segment, or deletes it if `change` returns undefined. No tab may have the store
 * open.
 */
async function changeSegment(name: string, change: (bytes: Uint8Array) => Uint8Array | undefined): Promise<void> {
  const request = indexedDB.open(`tvix-store-web:${name}`);
  await new Promise<void>((resolve, reject) => {
    request.onerror = () => reject(request.error);
    request.onsuccess = () => {
      const transaction = request.result.transaction("segments", "readwrite");
      const cursor = transaction.objectStore("segments").openCursor();
      cursor.onsuccess = () => {
        if (!cursor.result) return reject(new Error("there are no segments"));
        const changed = change(cursor.result.value);
        if (changed) cursor.result.update(changed);
        else cursor.result.delete();
      };
      transaction.oncomplete = () => resolve();
    };
  });
  request.result.close();
}

describe.skipIf(STORAGES.length < 2)("a store that is opened with a different storage than before", () => {
  test.each([
    ["opfs", "indexeddb"],
    ["indexeddb", "opfs"],
  ] as const)("first %s, then %s: has all, and new content goes where it is told", async (first, second) => {
    const name = crypto.randomUUID();
    const before = await open(name, { storage: first });
    const old = await put(before, TREE, "old");
    const dropped = await put(before, { text: "dropped", large: long(2, 3_000_000) }, "dropped");
    const store = await open(name, { storage: second });
    expect([before.storage, store.storage]).toEqual([first, second]);
    await expectWhole(store, old, TREE);
    const fresh = await put(store, { ...TREE, more: "more" }, "fresh");
    // A store object that was open before the switch reads everything too.
    for (const each of [store, before]) {
      await expectWhole(each, old, TREE);
      await expectWhole(each, fresh, { ...TREE, more: "more" });
      await expectClean(each);
    }
    expect((await packFiles(name)).length).toBe(first === "opfs" ? 2 : 1);
    await store.delete(dropped.storePath);
    await store.collectGarbage();
    // The other store object may have the pack open for another moment.
    await expect.poll(async () => (await packFiles(name)).length).toBe(1);
    await store.delete(old.storePath);
    await store.delete(fresh.storePath);
    await before.collectGarbage();
    expect((await before.usage()).packs).toEqual({ count: 0, bytes: 0 });
    await expect.poll(() => packFiles(name)).toEqual([]);
  });

  test("uses OPFS by default", async () => {
    expect((await open()).storage).toBe("opfs");
  });
});
