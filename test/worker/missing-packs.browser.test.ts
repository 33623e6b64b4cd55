import { afterEach, describe, expect, test } from "vitest";
import {
  closeAll,
  collect,
  expectWhole,
  failure,
  forget,
  importTree,
  open,
  packIds,
  reader,
  STORAGES,
  unfinishedImport,
  verified,
} from "./packed-world.browser.ts";
import { long, type Tree } from "./trees.ts";

afterEach(closeAll);

const A = { large: long(1), sub: { text: "below" }, text: "text" } satisfies Tree;
const B = { more: "more", sub: { text: "below" } } satisfies Tree;

type Store = Awaited<ReturnType<typeof open>>;

/** Deletes packs, as a browser does that clears this site's files and keeps its databases. */
async function losePacks(store: Store, ids?: readonly string[]): Promise<void> {
  for (const id of ids ?? (await packIds(store))) {
    for (const packs of [store.packs.indexeddb, store.packs.opfs]) expect((await packs?.delete(id)) ?? true).toBe(true);
  }
}

describe.each(STORAGES)("packs that are missing from %s", (storage) => {
  test("are not relied on: content is written again when it is imported again", async () => {
    const name = crypto.randomUUID();
    const store = await open(storage, name);
    const a = await importTree(store, A, "a");
    await losePacks(store);
    // A read detects the loss.
    expect(await failure(expectWhole(store, a))).toBe("corrupt");
    await expectWhole(store, await importTree(store, A, "a"));
    const other = await open(storage, name);
    await expectWhole(other, a);
    expect(await other.missingPacks()).toBe(1);
  });

  test("are not relied on by a tab that counts packs when it opens the store", async () => {
    const name = crypto.randomUUID();
    const store = await open(storage, name);
    const a = await importTree(store, A, "a");
    await losePacks(store);
    const other = await open(storage, name);
    expect(await other.missingPacks()).toBe(1);
    // The same content under another path. No read has failed before.
    await expectWhole(other, await importTree(other, A, "again"));
    await expectWhole(other, a);
    await expectWhole(await open(storage, name), a);
  });

  test("are detected before a commit that relies on them; it then writes what it can still read, or fails", async () => {
    const name = crypto.randomUUID();
    const store = await open(storage, name);
    await importTree(store, A, "a");
    const ids = await packIds(store);
    const importing = await unfinishedImport(store, { ...A, ...B }, "both");
    await losePacks(store, ids);
    expect(await failure(importing.end())).toBe("conflict");
    const pathInfos = reader(store).pathInfos;
    expect(await pathInfos.get(importing.value.storePath.slice(11, 43))).toBeUndefined();
    await expectWhole(store, await importTree(store, { ...A, ...B }, "both"));
    await expectWhole(await open(storage, name), importing.value);
  });

  test("of a session itself fail its commit", async () => {
    const name = crypto.randomUUID();
    const store = await open(storage, name);
    // The content is longer than a pack, so the first pack is complete.
    const importing = await unfinishedImport(store, { first: long(3, 20_000_000), second: long(4, 20_000_000) }, "long");
    const lost = await Promise.all((await packIds(store)).map((id) => (store.packs.opfs ?? store.packs.indexeddb).delete(id)));
    expect(lost).toContain(true);
    expect(await failure(importing.end())).toBe("unavailable");
    const other = await open(storage, name);
    expect(await reader(other).pathInfos.get(importing.value.storePath.slice(11, 43))).toBeUndefined();
    expect((await verified(other)).report).toMatchObject({ corrupt: [], missing: [], objects: 0 });
  });

  test("don't cost intact objects when garbage is collected", async () => {
    const name = crypto.randomUUID();
    const store = await open(storage, name);
    const a = await importTree(store, A, "a");
    const b = await importTree(store, B, "b");
    const [first, second] = await packIds(store);
    expect(second).toBeDefined();
    await losePacks(store, [first as string, second as string]);
    await store.missingPacks();
    await importTree(store, A, "a");
    await importTree(store, B, "b");
    await forget(store, b);
    expect((await collect(store)).objects).toBeGreaterThan(0);
    await expectWhole(store, a);
    await expectWhole(await open(storage, name), a);
    expect((await verified(store)).report).toMatchObject({ missing: [], storePaths: [] });
  });
});
