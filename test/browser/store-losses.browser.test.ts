import { describe, expect, test } from "vitest";
import { connectRemote, type Store } from "../../src/index.ts";
import { readAll } from "../conformance/content.ts";
import { STORE_DAEMONS } from "../conformance/daemon-urls.ts";
import { collectAll, expectClean, expectWhole, nextChange, open, opfsDirectory, put, STORAGES, TREE } from "./storages.browser.ts";

function deleteDatabase(name: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.deleteDatabase(`tvix-store-web:${name}`);
    request.onsuccess = () => resolve();
    request.onerror = () => reject(request.error);
  });
}

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

describe.each(STORAGES)("damage and losses of a store whose storage is %s", (storage) => {
  const openIt = (name?: string): Promise<Store> => open(name, { storage });

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
    expect(again.losses).toEqual({ evicted: false, missingPacks: 0, unindexedPacks: 0 });
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

  test("detects that the browser has evicted it", async () => {
    const name = crypto.randomUUID();
    const store = await openIt(name);
    expect(store.losses).toEqual({ evicted: false, missingPacks: 0, unindexedPacks: 0 });
    const old = await put(store, { old: "old" }, "old");
    await store.close();
    const again = await openIt(name);
    expect(again.losses).toEqual({ evicted: false, missingPacks: 0, unindexedPacks: 0 });
    await again.close();
    await deleteDatabase(name);
    const next = await openIt(name);
    expect(next.losses).toEqual({ evicted: true, missingPacks: 0, unindexedPacks: storage === "opfs" ? 1 : 0 });
    expect(await collectAll(next.pathInfos())).toEqual([]);
    const info = await put(next, TREE);
    await expectWhole(next, info, TREE);
    // The files of the old store are still there, and can be repaired.
    let changes = 0;
    next.addEventListener("change", () => changes++);
    const phases = new Set<string>();
    const report = await next.repair({ onProgress: ({ phase }) => phases.add(phase) });
    expect(next.losses).toEqual({ evicted: true, missingPacks: 0, unindexedPacks: 0 });
    if (storage === "opfs") {
      expect(report).toMatchObject({ packs: 1, objects: 2, damaged: [], storePaths: [old.storePath], incomplete: [] });
      expect([...phases]).toEqual(["repairing"]);
      await expect.poll(() => changes).toBeGreaterThan(0);
      await expectWhole(next, old, { old: "old" });
    } else {
      expect(report).toEqual({ packs: 0, objects: 0, bytes: 0, damaged: [], storePaths: [], incomplete: [] });
    }
    await expectWhole(next, info, TREE);
    await expectClean(next);
    await expect(next.repair({ signal: AbortSignal.abort("enough") })).rejects.toBe("enough");
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
    expect(again.losses).toEqual({ evicted: false, missingPacks: 1, unindexedPacks: 0 });
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
    expect(again.losses).toEqual({ evicted: false, missingPacks: 0, unindexedPacks: 0 });
    await again.collectGarbage();
    await expectWhole(again, directory, {});
    await expectWhole(again, file, "");
    await expectClean(again);
  });
});
