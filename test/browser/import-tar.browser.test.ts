import { afterEach, describe, expect, test } from "vitest";
import { openStore, type Store } from "../../src/index.ts";

const opened: Store[] = [];
afterEach(async () => {
  for (const store of opened.splice(0)) await store.close();
});

async function open(): Promise<Store> {
  const store = await openStore(crypto.randomUUID(), { workers: 1 });
  opened.push(store);
  return store;
}

/** Store path on which the tools agree: see test/castore/tar-entries.test.ts. */
const TREE = "/nix/store/8ma09mm7nw9hvg4s05g3h8p0zg3jn09b-tree";
const HOLES = "/nix/store/aiij1a86rd18wvg5bjz6h9a6i28pzjxy-holes";

// Vite needs one pattern for each directory: it matches files, and a name with a slash matches
// none.
const archive = (name: string): URL => new URL(`../castore/archives/${name}`, import.meta.url);
const asItCame = (name: string): URL => new URL(`../castore/archives/cases/${name}`, import.meta.url);
const sparse = (name: string): URL => new URL(`../castore/archives/sparse/${name}`, import.meta.url);

const blob = async (url: URL): Promise<Blob> => (await fetch(url)).blob();

const gzip = (content: Blob): Promise<Blob> => new Response(content.stream().pipeThrough(new CompressionStream("gzip"))).blob();

const ARCHIVES = [
  asItCame("no-end-marker.tar"),
  asItCame("self-hardlink.tar"),
  asItCame("two-streams.tar.bz2"),
  archive("label.tar"),
  archive("dump.tar"),
  archive("git.tar"),
];

describe("importTar", () => {
  test.each(ARCHIVES)("%s gets the store path that Nix gives its tree", async (url) => {
    const store = await open();
    expect((await store.importTar(await blob(url), { name: "tree" })).storePath).toBe(TREE);
  });

  // This archive is made here: for a .gz file the server sends a Content-Encoding, and the browser
  // decodes it.
  test("two gzip members with zeros after them get it too", async () => {
    const store = await open();
    const tar = await blob(archive("label.tar"));
    const members = await Promise.all([tar.slice(0, 1500), tar.slice(1500)].map(gzip));
    const padded = new Blob([...members, new Uint8Array(5000)]);
    expect((await store.importTar(padded, { name: "tree" })).storePath).toBe(TREE);
    const followed = new Blob([...members, "something else"]);
    await expect(store.importTar(followed, { name: "tree" })).rejects.toMatchObject({ code: "invalid" });
  });

  test("fills the holes of sparse files", async () => {
    const store = await open();
    const { storePath } = await store.importTar(await blob(sparse("posix-1.0.tgz")), { name: "holes" });
    expect(storePath).toBe(HOLES);
  });

  test("keeps the whole top level with stripRoot: false", async () => {
    const store = await open();
    const { storePath } = await store.importTar(await blob(archive("label.tar")), { name: "top", stripRoot: false });
    const names: string[] = [];
    for await (const entry of store.list(storePath)) names.push(entry.name);
    expect(names).toEqual(["tree"]);
    expect(await (await store.file(storePath, "tree/a"))?.text()).toBe("one\n");
  });
});
