import { afterEach, expect, test, vi } from "vitest";
import type { TvixStoreViewer } from "../../src/elements/store-viewer.ts";
import { type PathInfo, type Store, StoreError } from "../../src/index.ts";
import { each, entry, failing, fakeStore, held, pathInfo, storePathOf, USAGE, untilAborted } from "./fake-store.browser.ts";
import { type Mounted, mount } from "./mount.browser.ts";
import { button, click, find, record, textOf } from "./page.browser.ts";

const INFOS = ["hello", "zlib"].map((name) => pathInfo(name));
const [HELLO, ABSENT] = [storePathOf("hello"), storePathOf("absent")];

afterEach(() => {
  history.replaceState(null, "", location.pathname + location.search);
  vi.unstubAllGlobals();
});

/** A store that lists `infos`, which the test may change. */
function viewerStore(infos: readonly PathInfo[] = INFOS, parts: Partial<Store> = {}): Store {
  return fakeStore({
    pathInfos: () => each(infos),
    list: () => each([entry("a.txt"), entry("b.txt")]),
    file: async () => new Blob(["text"]) as unknown as Awaited<ReturnType<Store["file"]>>,
    usage: async () => USAGE,
    narInfo: async () => "StorePath: x\n",
    verifySignatures: async () => ({ signatures: [], contentAddressed: false }),
    ...parts,
  });
}

async function show(store: Store | undefined, properties: Partial<TvixStoreViewer> = {}): Promise<Mounted<TvixStoreViewer>> {
  // The frame of the test may be as narrow as a phone. The viewer asks for its width by a query.
  vi.stubGlobal("matchMedia", () => ({ matches: false }));
  const mounted = await mount("tvix-store-viewer", { store, ...properties });
  // A wide frame, so that no part is hidden.
  mounted.element.style.cssText = "width: 1200px; height: 600px";
  return mounted;
}

async function go(hash: string): Promise<void> {
  const moved = new Promise((resolve) => addEventListener("hashchange", resolve, { once: true }));
  location.hash = hash;
  await moved;
}

const listed = (root: ShadowRoot): string[] =>
  [...(root.querySelector("tvix-store-paths")?.shadowRoot?.querySelectorAll(".name") ?? [])].map(textOf);
const title = (root: ShadowRoot): string => textOf(root.querySelector(".title h2"));
const alert = (root: ShadowRoot): string => textOf(root.querySelector('main [role="alert"]'));
const openPanel = (root: ShadowRoot): string | undefined => [...root.querySelectorAll("aside")].find(({ hidden }) => !hidden)?.id;

test("lists the store's paths with their number and size, and asks to choose one", async () => {
  const { root } = await show(viewerStore());
  await expect.poll(() => listed(root)).toEqual(["hello", "zlib"]);
  expect(textOf(find(root, ".count"))).toBe("2 paths, 4.0 KiB");
  expect(textOf(find(root, ".none-chosen"))).toBe("Choose a store path.");
  expect([...root.querySelectorAll("nav, section.detail")].map((part) => part.getAttribute("aria-label"))).toEqual([
    "Store",
    "Store path",
  ]);
});

test("the address tells which path is shown; choosing a path changes the address", async () => {
  const { element, root } = await show(viewerStore());
  const titles = record<{ title: string }>(element, "tvix-navigate");
  await expect.poll(() => listed(root).length).toBe(2);
  const list = find(root, "tvix-store-paths").shadowRoot as ShadowRoot;
  list.querySelector<HTMLElement>('[role="option"]')?.click();
  await expect.poll(() => title(root)).toBe("hello");
  expect(location.hash).toBe(`#${HELLO}`);
  await go(`#${storePathOf("zlib")}`);
  await expect.poll(() => title(root)).toBe("zlib");
  await go("#/");
  await expect.poll(() => title(root)).toBe("");
  expect(titles.map((detail) => detail.title)).toEqual(["hello", "zlib", ""]);
});

test("an address within a path opens the file there, and a chosen file changes the address", async () => {
  await go(`#${HELLO}/a.txt`);
  const { root } = await show(viewerStore());
  await expect.poll(() => textOf(root.querySelector("tvix-file-preview")?.shadowRoot?.querySelector("h3"))).toBe("a.txt");
  const tree = find(root, "tvix-file-tree").shadowRoot as ShadowRoot;
  await expect.poll(() => tree.querySelectorAll('[role="treeitem"]').length).toBe(2);
  tree.querySelectorAll<HTMLElement>('[role="treeitem"]')[1]?.click();
  await expect.poll(() => location.hash).toBe(`#${HELLO}/b.txt`);
});

test("follows the changes of the store, until it leaves the page", async () => {
  const infos = [...INFOS];
  const { element, root } = await show(viewerStore(infos));
  await expect.poll(() => listed(root).length).toBe(2);
  infos.push(pathInfo("more"));
  element.store?.dispatchEvent(new Event("change"));
  await expect.poll(() => listed(root)).toEqual(["hello", "more", "zlib"]);
  const titles = record(element, "tvix-navigate");
  element.remove();
  await go(`#${HELLO}`);
  expect(titles).toEqual([]);
});

test("a path that the store lacks can be pulled or imported", async () => {
  await go(`#${ABSENT}`);
  const { element, root } = await show(viewerStore());
  await expect.poll(() => alert(root)).toBe(`This store does not have ${ABSENT}.`);
  click(root, "Pull it from a daemon…");
  await element.updateComplete;
  expect(openPanel(root)).toBe("panel-sync");
  const sync = find(root, "tvix-sync").shadowRoot as ShadowRoot;
  await expect.poll(() => find<HTMLInputElement>(sync, "#typed").value).toBe(ABSENT);
  click(root, "Import it from a binary cache…");
  await element.updateComplete;
  expect(openPanel(root)).toBe("panel-import");
  const cache = find(root, "tvix-binary-cache").shadowRoot as ShadowRoot;
  await expect.poll(() => find<HTMLTextAreaElement>(cache, "textarea").value).toBe(ABSENT);
});

test("while the list is read, says so instead of that a path is missing", async () => {
  await go(`#${ABSENT}`);
  const reading = held<void>();
  const store = viewerStore([], {
    async *pathInfos() {
      await reading.promise;
      yield* INFOS;
    },
  });
  const { root } = await show(store);
  expect([textOf(root.querySelector(".detail .say")), alert(root)]).toEqual(["Reading…", ""]);
  reading.resolve();
  await expect.poll(() => alert(root)).toMatch(/^This store does not have/);
});

test("tells why there is no store, and why it can't be read", async () => {
  const without = await show(undefined, { fault: "This browser has no database." });
  expect(alert(without.root)).toBe("This browser has no database.");
  for (const each of without.root.querySelectorAll<HTMLButtonElement>("header [aria-controls]")) expect(each.disabled).toBe(true);
  const store = viewerStore([], { pathInfos: () => failing(new StoreError("unavailable", "the worker is gone")) });
  const broken = await show(store);
  await expect.poll(() => alert(broken.root)).toBe("The worker is gone.");
});

test("an empty store offers the sample, imports and pulls", async () => {
  const { element, root } = await show(viewerStore([]), { sample: "/sample/" });
  await expect.poll(() => textOf(root.querySelector(".empty h2"))).toBe("This store is empty");
  expect([...root.querySelectorAll(".empty button")].map(textOf)).toEqual(["Open the sample", "Import…", "Pull from a daemon…"]);
  click(root, "Pull from a daemon…");
  await element.updateComplete;
  expect(openPanel(root)).toBe("panel-sync");
  const plain = await show(viewerStore([]));
  await expect.poll(() => button(plain.root, "Import…")).toBeDefined();
  expect(button(plain.root, "Open the sample")).toBeUndefined();
});

test("opens the sample from a static cache, and tells of a failure and a cancellation", async () => {
  const responses: Record<string, () => Promise<Response>> = {};
  vi.stubGlobal("fetch", (input: RequestInfo | URL, init?: RequestInit) => {
    const name = new URL(String(input instanceof Request ? input.url : input)).pathname;
    const stuck = (): Promise<Response> =>
      untilAborted({ signal: init?.signal ?? (input instanceof Request ? input.signal : undefined) });
    return (responses[name] ?? stuck)();
  });
  const { root } = await show(viewerStore([]), { sample: "/sample/" });
  const pulled = record<{ paths: number }>(document.body, "tvix-pulled");
  await expect.poll(() => button(root, "Open the sample")).toBeDefined();
  click(root, "Open the sample");
  await expect.poll(() => textOf(root.querySelector(".empty .running"))).toMatch(/^Opening the sample/);
  expect(button(root, "Open the sample")?.disabled).toBe(true);
  click(root, "Cancel");
  await expect.poll(() => textOf(root.querySelector(".empty .cancelled"))).toMatch(/^Cancelled. Store paths that were complete/);
  responses["/sample/index.json"] = async () => new Response("{}");
  click(root, "Open the sample");
  await expect.poll(() => textOf(root.querySelector('.empty [role="alert"]'))).toMatch(/is not a list of NARInfo files/);
  responses["/sample/index.json"] = async () => new Response("[]");
  click(root, "Open the sample");
  await expect.poll(() => pulled).toEqual([{ paths: 0 }]);
});

test("deletes a path after a question, and goes back to the list with the outcome", async () => {
  const infos = [...INFOS];
  const store = viewerStore(infos, {
    async delete(storePath) {
      infos.splice(
        infos.findIndex((info) => info.storePath === storePath),
        1,
      );
      return true;
    },
    collectGarbage: async () => ({ objects: 1, bytes: 2048 }),
  });
  await go(`#${HELLO}`);
  const { root } = await show(store);
  await expect.poll(() => title(root)).toBe("hello");
  click(root, "Delete…");
  click(find(root, "dialog"), "Delete");
  await expect.poll(() => textOf(root.querySelector(".none-chosen"))).toBe("Deleted hello: 2.0 KiB freed. Choose a store path.");
  expect(location.hash).toBe("#/");
});

test("“Push…” opens the panel with the path chosen", async () => {
  await go(`#${HELLO}`);
  const { root } = await show(viewerStore());
  await expect.poll(() => title(root)).toBe("hello");
  click(root, "Push…");
  await expect.poll(() => openPanel(root)).toBe("panel-sync");
  await expect.poll(() => textOf(find(root, "tvix-sync").shadowRoot?.querySelector(".primary"))).toBe("Push 1 path");
});

test("downloads the NAR of the shown path", async () => {
  const offered: string[] = [];
  const clicked = vi.spyOn(HTMLAnchorElement.prototype, "click").mockImplementation(function (this: HTMLAnchorElement) {
    offered.push(this.download);
  });
  await go(`#${HELLO}`);
  const { root } = await show(viewerStore(INFOS, { nar: () => new Blob(["nar"]).stream() }));
  await expect.poll(() => title(root)).toBe("hello");
  click(root, "Download NAR");
  await expect.poll(() => textOf(root.querySelector('.detail [role="status"]'))).toBe("Saved the NAR.");
  clicked.mockRestore();
  expect(offered).toEqual(["hello.nar"]);
});

test("an imported path is shown", async () => {
  const { root } = await show(viewerStore());
  await expect.poll(() => listed(root).length).toBe(2);
  find(root, "tvix-import").dispatchEvent(
    new CustomEvent("tvix-imported", { detail: { info: INFOS[0] }, bubbles: true, composed: true }),
  );
  await expect.poll(() => title(root)).toBe("hello");
});

test("a file that is dragged over the viewer can be dropped anywhere", async () => {
  const { element, root } = await show(viewerStore());
  const items = [{ kind: "file", webkitGetAsEntry: () => null, getAsFile: () => new File(["x"], "site.tar") }];
  const dragged = (type: string, types: readonly string[]): Event =>
    Object.defineProperty(new Event(type, { cancelable: true }), "dataTransfer", { value: { types, items } });
  expect(element.dispatchEvent(dragged("dragover", ["text/plain"]))).toBe(true);
  await element.updateComplete;
  expect(root.querySelector(".overlay")).toBeNull();
  expect(element.dispatchEvent(dragged("dragover", ["Files"]))).toBe(false);
  await element.updateComplete;
  expect(textOf(root.querySelector(".overlay"))).toBe("Drop to import");
  element.dispatchEvent(new Event("dragleave"));
  await element.updateComplete;
  expect(root.querySelector(".overlay")).toBeNull();
  expect(element.dispatchEvent(dragged("drop", ["Files"]))).toBe(false);
  await expect.poll(() => openPanel(root)).toBe("panel-import");
  await expect.poll(() => textOf(find(root, "tvix-import").shadowRoot?.querySelector(".source"))).toBe("site.tar 1 B");
});

test("tells that the page works offline, and offers a newer version of it", async () => {
  const { element, root } = await show(viewerStore());
  const offline = find(root, '.offline[role="status"]');
  expect(textOf(offline)).toBe("");
  element.offline = "ready";
  await element.updateComplete;
  expect(textOf(offline)).toBe("✓ Available offline");
  const updates = record(element, "tvix-update");
  element.offline = "update";
  await element.updateComplete;
  click(offline, "New version: reload");
  expect(updates.length).toBe(1);
});

test("on a narrow screen, an opened path closes the panel and takes the focus; an imported one waits", async () => {
  const { element, root } = await show(viewerStore());
  await expect.poll(() => listed(root).length).toBe(2);
  vi.stubGlobal("matchMedia", () => ({ matches: true }));
  click(root, "Import");
  await element.updateComplete;
  find(root, "tvix-import").dispatchEvent(
    new CustomEvent("tvix-imported", { detail: { info: INFOS[0] }, bubbles: true, composed: true }),
  );
  await element.updateComplete;
  expect([openPanel(root), title(root)]).toEqual(["panel-import", ""]);
  await go(`#${HELLO}`);
  await expect.poll(() => textOf(root.activeElement)).toBe("hello");
  expect(openPanel(root)).toBeUndefined();
});
