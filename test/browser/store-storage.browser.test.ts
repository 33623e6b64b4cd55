import { describe, expect, test } from "vitest";
import { equalBytes } from "../../src/bytes.ts";
import { deleteStore, type Store, StoreError } from "../../src/index.ts";
import { pseudoRandom } from "../conformance/content.ts";
import { long } from "../worker/trees.ts";
import {
  collectAll,
  expectClean,
  expectWhole,
  nextChange,
  open,
  packBytes,
  packFiles,
  put,
  STORAGES,
  TREE,
} from "./storages.browser.ts";

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
    // In OPFS, the second import writes a pack that has only its path info.
    expect(usage.packs.count).toBe(storage === "opfs" ? 2 : 1);
    const { chunks, directories, blobs } = usage.objects;
    const listed = 128 + 40 * (chunks.count + directories.count + blobs.count);
    expect(usage.packs.bytes).toBe(storage === "opfs" ? await packBytes(store.name) : usage.stored + listed);
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
    expect(again.losses).toEqual({ evicted: false, missingPacks: 0, unindexedPacks: 0 });
    expect(await collectAll(again.pathInfos())).toEqual([]);
    await expectWhole(again, await put(again, TREE), TREE);
    await deleteStore(crypto.randomUUID());
  });
});

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
