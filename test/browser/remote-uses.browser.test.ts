import { afterEach, expect, test } from "vitest";
import { RemoteUses } from "../../src/browser/remote-uses.ts";
import { connectRemote, openStore, type Store } from "../../src/index.ts";
import { STORE_DAEMONS } from "../conformance/daemon-urls.ts";
import { watchPorts } from "../thread/watched-ports.ts";
import { narOf } from "../worker/trees.ts";

const opened: Store[] = [];
afterEach(async () => {
  for (const store of opened.splice(0)) await store.close();
});

async function open(): Promise<Store> {
  const store = await openStore(crypto.randomUUID(), { workers: 1 });
  opened.push(store);
  return store;
}

test("two pulls in a row from one remote detect its family once, also after it was restarted as another", async () => {
  let family = "tvix";
  const requests: string[] = [];
  const remote = connectRemote(STORE_DAEMONS[0], {
    fetch: async (input, init) => {
      const { pathname } = new URL(String(input));
      requests.push(pathname);
      return pathname.startsWith(`/${family}.`) ? fetch(input, init) : new Response(null, { status: 404 });
    },
  });
  const store = await open();
  const { storePath } = await store.importNar(new Blob(narOf({ a: crypto.randomUUID() })), { name: "kept" });
  await store.push(remote, [storePath]);
  requests.length = 0;
  // The store has the path, so a pull only asks for its PathInfo.
  for (let i = 0; i < 2; i++) await store.pull(remote, [storePath]);
  expect(requests).toEqual(Array(2).fill("/tvix.store.v1.PathInfoService/Get"));

  family = "snix";
  requests.length = 0;
  for (let i = 0; i < 2; i++) expect(await store.pull(remote, [storePath])).toMatchObject({ paths: 0, reused: 1 });
  expect(requests).toEqual([
    "/tvix.store.v1.PathInfoService/Get",
    "/tvix.castore.v1.BlobService/Stat",
    "/snix.castore.v1.BlobService/Stat",
    ...Array(2).fill("/snix.store.v1.PathInfoService/Get"),
  ]);

  // Another store has a connection of its own.
  requests.length = 0;
  await (await open()).pull(remote, [storePath], { closure: false });
  expect(requests.slice(0, 2)).toEqual(["/tvix.castore.v1.BlobService/Stat", "/snix.castore.v1.BlobService/Stat"]);
});

test("calls at the same time share one port to the page's fetch, which is closed after the last one", () => {
  const ports = watchPorts();
  try {
    const uses = new RemoteUses(() => {});
    const remote = connectRemote("http://localhost", { fetch: () => new Promise(() => {}) });
    const [first, second, other] = [uses.begin(remote), uses.begin(remote), uses.begin(connectRemote("http://localhost"))];
    expect([first.use.fetch instanceof MessagePort, second.use.fetch, other.use.fetch]).toEqual([true, undefined, undefined]);
    expect([first.use.id === second.use.id, first.use.id === other.use.id]).toEqual([true, false]);
    first.end();
    expect(ports.open()).toHaveLength(1);
    second.end();
    other.end();
    expect(ports.open()).toEqual([]);
    const third = uses.begin(remote);
    expect([third.use.fetch instanceof MessagePort, third.use.id]).toEqual([true, first.use.id]);
    third.end();
  } finally {
    ports.restore();
  }
});

const { gc } = globalThis as { gc?: () => void };

test.skipIf(!gc)("a remote that was garbage-collected is forgotten, but not while a call uses it (needs gc)", async () => {
  const forgotten: number[] = [];
  const uses = new RemoteUses((id) => forgotten.push(id));
  // `end` refers to the remote, so the test must let go of it.
  const ends = [uses.begin(connectRemote("http://localhost/used")).end];
  uses.begin(connectRemote("http://localhost/unused")).end();
  const collect = (): number[] => {
    gc?.();
    return forgotten;
  };
  await expect.poll(collect).toEqual([2]);
  ends.pop()?.();
  await expect.poll(collect).toEqual([2, 1]);
});
