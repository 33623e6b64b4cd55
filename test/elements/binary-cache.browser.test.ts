import { afterEach, expect, test } from "vitest";
import type { TvixBinaryCache } from "../../src/elements/binary-cache.ts";
import { keepKeys, keptKeys } from "../../src/elements/kept-keys.ts";
import { FailedPathsError, type Store, StoreError, type SubstituteReport } from "../../src/index.ts";
import { fakeStore, pathInfo, storePathOf, untilAborted } from "./fake-store.browser.ts";
import { type Mounted, mount } from "./mount.browser.ts";
import { button, click, find, record, textOf, type } from "./page.browser.ts";

const KEY = `a-1:${"A".repeat(43)}=`;
const REPORT: SubstituteReport = { paths: 3, bytes: 2048, reused: 0, retried: 0, failed: 0 };
const [HELLO, OTHER] = [storePathOf("hello"), storePathOf("other")];

afterEach(() => localStorage.clear());

interface Call {
  readonly url: string;
  readonly paths: readonly string[];
  readonly keys: readonly string[];
  readonly requireSignatures: boolean | undefined;
}

/** A store into which imports succeed with `report`, or fail with `report`. */
function cacheStore(report: SubstituteReport | Error, parts: Partial<Store> = {}): { store: Store; calls: Call[] } {
  const calls: Call[] = [];
  const store = fakeStore({
    async importBinaryCache(url, storePaths, { trustedPublicKeys = [], requireSignatures } = {}) {
      calls.push({ url, paths: [...storePaths], keys: [...trustedPublicKeys], requireSignatures });
      if (report instanceof Error) throw report;
      return report;
    },
    pathInfo: async (storePath) => (storePath === HELLO ? pathInfo("hello") : undefined),
    ...parts,
  });
  return { store, calls };
}

const show = (store: Store | undefined = cacheStore(REPORT).store): Promise<Mounted<TvixBinaryCache>> =>
  mount("tvix-binary-cache", { store });
const address = (root: ShadowRoot): HTMLInputElement => find<HTMLInputElement>(root, "[name=cache]");
const paths = (root: ShadowRoot): HTMLTextAreaElement => find<HTMLTextAreaElement>(root, "textarea");
const submit = (root: ShadowRoot): HTMLButtonElement => find<HTMLButtonElement>(root, "button.primary");
const status = (root: ShadowRoot): string => textOf(root.querySelector('.done[role="status"] p'));
const items = (root: ShadowRoot, label: string): string[] => [...root.querySelectorAll(`ul[aria-label="${label}"] li`)].map(textOf);

async function fill({ element, root }: Mounted<TvixBinaryCache>, typed: string): Promise<void> {
  type(address(root), "https://cache.example.org");
  type(paths(root), typed);
  await element.updateComplete;
}

test("is a named form whose fields have labels and hints", async () => {
  const { root } = await show();
  expect(find(root, "form").getAttribute("aria-label")).toBe("Binary cache");
  for (const field of [address(root), paths(root)]) {
    expect(textOf(find(root, `label[for=${field.id}]`))).not.toBe("");
    for (const id of (field.getAttribute("aria-describedby") ?? "").split(" ")) expect(root.getElementById(id)).not.toBeNull();
  }
  expect([address(root).type, address(root).required]).toEqual(["url", true]);
});

test("the button tells how many different paths there are, and waits for correct ones", async () => {
  const mounted = await show();
  const { element, root } = mounted;
  expect([textOf(submit(root)), submit(root).disabled]).toEqual(["Import paths", true]);
  await fill(mounted, ` ${HELLO}\n${OTHER.slice(11, 43)} ${HELLO}`);
  expect([textOf(submit(root)), submit(root).disabled]).toEqual(["Import 2 paths", false]);
  for (const wrong of ["hello", "/nix/store/x", "a\u202eb", `/gnu/store/${HELLO.slice(11)}`]) {
    type(paths(root), `${HELLO} ${wrong}`);
    await element.updateComplete;
    expect(textOf(find(root, "#paths-fault"))).toBe(`“${wrong.replace("\u202e", "\\u{202e}")}” is not a store path.`);
    expect([paths(root).getAttribute("aria-invalid"), submit(root).disabled]).toEqual(["true", true]);
  }
});

test("imports with the reader's keys, and lists the paths that are there now", async () => {
  keepKeys(KEY);
  const { store, calls } = cacheStore({ ...REPORT, reused: 1, retried: 2 });
  const mounted = await show(store);
  const { root } = mounted;
  const pulled = record<{ paths: number }>(document.body, "tvix-pulled");
  await fill(mounted, `${HELLO} ${OTHER}`);
  submit(root).click();
  await expect
    .poll(() => status(root))
    .toBe("Imported 3 paths: 2.0 KiB of NARs. 1 path was there already. 2 requests had to be retried.");
  expect(calls).toEqual([{ url: "https://cache.example.org", paths: [HELLO, OTHER], keys: [KEY], requireSignatures: true }]);
  expect(items(root, "Imported store paths")).toEqual(["Open hello"]);
  expect(find(root, ".outcome a").getAttribute("href")).toBe(`#${HELLO}`);
  expect(pulled).toEqual([{ paths: 3 }]);
  await expect.poll(() => paths(root).value).toBe("");
});

test("takes unsigned paths only if the reader says so", async () => {
  const { store, calls } = cacheStore(REPORT);
  const mounted = await show(store);
  await fill(mounted, HELLO);
  find<HTMLInputElement>(mounted.root, "[type=checkbox]").click();
  submit(mounted.root).click();
  await expect.poll(() => calls.map(({ requireSignatures }) => requireSignatures)).toEqual([false]);
});

test("a key that was typed but not added counts; one that is wrong stops the import", async () => {
  const { store, calls } = cacheStore(REPORT);
  const mounted = await show(store);
  await fill(mounted, HELLO);
  const keys = find(mounted.root, "tvix-trusted-keys").shadowRoot as ShadowRoot;
  type(find<HTMLInputElement>(keys, "#key"), "wrong");
  submit(mounted.root).click();
  await expect.poll(() => textOf(find(keys, "#key-fault"))).not.toBe("");
  expect(calls).toEqual([]);
  type(find<HTMLInputElement>(keys, "#key"), KEY);
  submit(mounted.root).click();
  await expect.poll(() => calls.map((call) => call.keys)).toEqual([[KEY]]);
  expect(keptKeys()).toEqual([KEY]);
});

test("says that everything was there already, and fires no event", async () => {
  const pulled = record(document.body, "tvix-pulled");
  const mounted = await show(cacheStore({ ...REPORT, paths: 0, bytes: 0, reused: 1 }).store);
  await fill(mounted, HELLO);
  submit(mounted.root).click();
  await expect.poll(() => status(mounted.root)).toBe("Nothing to do: everything was there already.");
  expect(pulled).toEqual([]);
});

test("if some paths failed, lists them and what was imported all the same", async () => {
  const failures = Array.from({ length: 22 }, (_, i) => ({
    storePath: storePathOf(`bad${i}`),
    error: new StoreError("not-found", `the cache lacks bad${i}`),
  }));
  const failed = new FailedPathsError(failures, { paths: 1, bytes: 10, reused: 0, retried: 0, failed: 22 });
  const mounted = await show(cacheStore(failed).store);
  const { root } = mounted;
  const pulled = record<{ paths: number }>(document.body, "tvix-pulled");
  await fill(mounted, `${HELLO} ${OTHER}`);
  submit(root).click();
  await expect.poll(() => items(root, "Store paths that failed").length).toBe(21);
  expect(items(root, "Store paths that failed")[0]).toContain("bad0");
  expect(items(root, "Store paths that failed").at(-1)).toBe("and 2 others");
  expect(status(root)).toBe("Imported 1 path: 10 B of NARs. 22 paths failed.");
  expect(pulled).toEqual([{ paths: 1 }]);
  expect(textOf(root.querySelector('[role="alert"]'))).not.toBe("");
  expect(paths(root).value).not.toBe("");
});

test("if everything failed, only says so", async () => {
  const error = new StoreError("denied", "no key that you trust signed it");
  const failed = new FailedPathsError([{ storePath: HELLO, error }], { ...REPORT, paths: 0, failed: 1 });
  const mounted = await show(cacheStore(failed).store);
  await fill(mounted, HELLO);
  submit(mounted.root).click();
  await expect.poll(() => textOf(mounted.root.querySelector('[role="alert"]'))).toMatch(/signed it/);
  expect([status(mounted.root), items(mounted.root, "Store paths that failed")]).toEqual(["", []]);
});

test("shows progress, and can be cancelled; the form keeps its text", async () => {
  const { store } = cacheStore(REPORT, {
    importBinaryCache(_url, _paths, options = {}) {
      options.onProgress?.({ phase: "copying", unit: "bytes", loaded: 512, total: 2048 });
      return untilAborted(options);
    },
  });
  const mounted = await show(store);
  const { root } = mounted;
  await fill(mounted, HELLO);
  submit(root).click();
  await expect.poll(() => textOf(root.querySelector(".running"))).toBe("Importing copying 512 B of 2.0 KiB Cancel");
  expect(submit(root).disabled).toBe(true);
  click(root, "Cancel");
  await expect
    .poll(() => textOf(root.querySelector(".cancelled")))
    .toMatch(/^Cancelled. Store paths that were complete by then are kept/);
  expect([paths(root).value, submit(root).disabled]).toEqual([HELLO, false]);
});

test("an import is cancelled when the element leaves the page", async () => {
  let signal: AbortSignal | undefined;
  const { store } = cacheStore(REPORT, {
    importBinaryCache(_url, _paths, options = {}) {
      signal = options.signal;
      return untilAborted(options);
    },
  });
  const mounted = await show(store);
  await fill(mounted, HELLO);
  submit(mounted.root).click();
  await expect.poll(() => signal?.aborted).toBe(false);
  mounted.element.remove();
  expect(signal?.aborted).toBe(true);
});

test("`offer` fills in a store path, and focuses the address", async () => {
  const { element, root } = await show();
  element.offer(HELLO);
  await element.updateComplete;
  await expect.poll(() => root.activeElement).toBe(address(root));
  expect(paths(root).value).toBe(HELLO);
});

test("without a store, nothing can be imported", async () => {
  const mounted = await mount("tvix-binary-cache");
  await fill(mounted, HELLO);
  expect(button(mounted.root, "Import 1 path")?.disabled).toBe(true);
});
