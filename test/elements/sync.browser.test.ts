import { afterEach, expect, test } from "vitest";
import { recallDaemon } from "../../src/elements/remembered-daemon.ts";
import type { TvixSync } from "../../src/elements/sync.ts";
import { type PathInfo, type Remote, type Store, StoreError, type SyncReport } from "../../src/index.ts";
import { each, fakeStore, pathInfo, storePathOf, untilAborted } from "./fake-store.browser.ts";
import { type Mounted, mount } from "./mount.browser.ts";
import { button, click, count, find, record, textOf, type } from "./page.browser.ts";

const REPORT: SyncReport = { paths: 2, objects: 5, bytes: 2048, reused: 0 };
const HERE = ["a", "b"].map((name) => pathInfo(name));
const THERE = ["b", "c"].map((name) => pathInfo(name));
const [A, C] = [storePathOf("a"), storePathOf("c")];

afterEach(() => localStorage.clear());

interface Call {
  readonly kind: "pull" | "push";
  readonly url: string;
  readonly paths: readonly string[];
  readonly closure: boolean | undefined;
}

/** A store that records its transfers. The daemon has the paths `THERE`. */
function syncStore(parts: Partial<Store> = {}, report: Partial<SyncReport> = {}): { store: Store; calls: Call[] } {
  const calls: Call[] = [];
  const transfer =
    (kind: "pull" | "push"): Store["pull"] =>
    async (remote: Remote, storePaths: Iterable<string>, { closure } = {}) => {
      calls.push({ kind, url: remote.url, paths: [...storePaths], closure });
      return { ...REPORT, ...report };
    };
  const store = fakeStore({
    remotePathInfos: () => each<PathInfo>(THERE),
    pull: transfer("pull"),
    push: transfer("push"),
    ...parts,
  });
  return { store, calls };
}

async function show(store: Store | undefined = syncStore().store): Promise<Mounted<TvixSync>> {
  return mount("tvix-sync", { store, paths: HERE, daemon: "http://daemon:8000" });
}

const typed = (root: ShadowRoot): HTMLInputElement => find<HTMLInputElement>(root, "#typed");
const primary = (root: ShadowRoot): HTMLButtonElement => find<HTMLButtonElement>(root, "button.primary");
const status = (root: ShadowRoot): string => textOf([...root.querySelectorAll('[role="status"]')].at(-1));
const rows = (root: ShadowRoot): HTMLElement[] => [
  ...(find(root, "tvix-store-paths").shadowRoot as ShadowRoot).querySelectorAll<HTMLElement>('[role="option"]'),
];
const rowTexts = (root: ShadowRoot): string[] => rows(root).map((row) => textOf(row).slice(8));

async function listPaths({ root }: Mounted<TvixSync>): Promise<void> {
  click(root, "List paths");
  await expect.poll(() => root.querySelector("tvix-store-paths")).not.toBeNull();
  await expect.poll(() => rows(root).length).toBe(THERE.length);
}

test("starts with pulling from the daemon that the page names", async () => {
  const { root } = await show();
  expect(find<HTMLInputElement>(root, "[name=address]").value).toBe("http://daemon:8000");
  const group = find(root, '[role="group"][aria-label="Direction"]');
  expect([...group.querySelectorAll("button")].map((each) => each.getAttribute("aria-pressed"))).toEqual(["true", "false"]);
  expect([textOf(primary(root)), primary(root).disabled]).toEqual(["Pull", true]);
  expect(textOf(find(root, "label[for=typed]"))).toBe("Store path, or its hash");
});

test("pulls a typed path or hash with its dependencies", async () => {
  const { store, calls } = syncStore();
  const { element, root } = await show(store);
  const pulled = record<{ paths: number }>(document.body, "tvix-pulled");
  type(typed(root), ` ${C} `);
  await element.updateComplete;
  click(root, "Pull 1 path");
  await expect.poll(() => status(root)).toBe("Pulled 2 paths: 5 objects, 2.0 KiB.");
  expect(calls).toEqual([{ kind: "pull", url: "http://daemon:8000", paths: [C], closure: true }]);
  expect([pulled, typed(root).value, recallDaemon()?.address]).toEqual([[{ paths: 2 }], "", "http://daemon:8000"]);
});

test("says that a typed text is not a store path", async () => {
  const { element, root } = await show();
  for (const text of ["hello", "/nix/store/", `${C}/bin\u202e`]) {
    type(typed(root), text);
    await element.updateComplete;
    expect(textOf(find(root, `#${typed(root).getAttribute("aria-describedby")}`))).toBe("This is not a store path.");
    expect([typed(root).getAttribute("aria-invalid"), primary(root).disabled]).toEqual(["true", true]);
  }
  type(typed(root), "  ");
  await element.updateComplete;
  expect(typed(root).getAttribute("aria-invalid")).toBe("false");
});

test("pulls paths that were chosen in the daemon's list, which marks those that are here", async () => {
  const { store, calls } = syncStore();
  const mounted = await show(store);
  const { element, root } = mounted;
  await listPaths(mounted);
  expect(rowTexts(root)).toEqual([expect.stringContaining("b here"), expect.not.stringContaining("here")]);
  expect((find(root, "tvix-store-paths") as HTMLElement & { label: string }).label).toBe("Paths of the daemon");
  rows(root)[1]?.click();
  type(typed(root), C);
  await element.updateComplete;
  find<HTMLInputElement>(root, "[type=checkbox]").click();
  await element.updateComplete;
  click(root, "Pull 1 path");
  await expect.poll(() => calls).toEqual([{ kind: "pull", url: "http://daemon:8000", paths: [C], closure: false }]);
  await expect.poll(() => textOf(primary(root))).toBe("Pull");
});

test("asking the daemon again forgets the choice", async () => {
  const mounted = await show();
  const { element, root } = mounted;
  await listPaths(mounted);
  rows(root)[0]?.click();
  await element.updateComplete;
  expect(textOf(primary(root))).toBe("Pull 1 path");
  click(root, "List paths");
  await element.updateComplete;
  expect(textOf(primary(root))).toBe("Pull");
});

test("pushes the chosen paths, and marks those that the daemon has", async () => {
  const { store, calls } = syncStore({}, { reused: 1000 });
  const mounted = await show(store);
  const { element, root } = mounted;
  const pulled = record(document.body, "tvix-pulled");
  await listPaths(mounted);
  click(root, "Push to daemon");
  await element.updateComplete;
  await expect.poll(() => rowTexts(root)).toEqual([expect.not.stringContaining("there"), expect.stringContaining("b there")]);
  expect([textOf(primary(root)), primary(root).disabled]).toEqual(["Push", true]);
  rows(root)[0]?.click();
  await element.updateComplete;
  click(root, "Push 1 path");
  await expect.poll(() => status(root)).toBe(`Pushed 2 paths: 5 objects, 2.0 KiB. ${count(1000)} objects there already.`);
  expect([calls, pulled]).toEqual([[{ kind: "push", url: "http://daemon:8000", paths: [A], closure: true }], []]);
});

test("a path that was deleted meanwhile is no longer chosen for pushing", async () => {
  const { element, root } = await show();
  element.offerPush(A);
  await element.updateComplete;
  expect([textOf(primary(root)), button(root, "Push to daemon")?.getAttribute("aria-pressed")]).toEqual(["Push 1 path", "true"]);
  element.paths = HERE.slice(1);
  await element.updateComplete;
  expect([textOf(primary(root)), primary(root).disabled]).toEqual(["Push", true]);
});

test("`offerPull` fills in a path", async () => {
  const { element, root } = await show();
  element.offerPush(A);
  element.offerPull(C);
  await element.updateComplete;
  expect([typed(root).value, textOf(primary(root))]).toEqual([C, "Pull 1 path"]);
});

test("says that everything was there already, and fires no event", async () => {
  const pulled = record(document.body, "tvix-pulled");
  const { element, root } = await show(syncStore({}, { paths: 0 }).store);
  element.offerPull(C);
  await element.updateComplete;
  click(root, "Pull 1 path");
  await expect.poll(() => status(root)).toBe("Nothing to do: everything was there already.");
  expect(pulled).toEqual([]);
});

test.each([
  ["pull", "Pull 1 path", "Pulling", "Cancelled. Store paths that were complete by then are kept."],
  ["push", "Push 1 path", "Pushing", "Cancelled. The daemon keeps the store paths that were complete by then."],
] as const)("a %s shows progress, blocks other requests, and can be cancelled", async (kind, label, running, cancelled) => {
  const { store } = syncStore({
    [kind]: (_remote: Remote, _paths: Iterable<string>, options: Parameters<Store["pull"]>[2] = {}) => {
      options.onProgress?.({ phase: "copying", unit: "bytes", loaded: 512, total: 2048 });
      return untilAborted(options);
    },
  });
  const { element, root } = await show(store);
  if (kind === "pull") element.offerPull(C);
  else element.offerPush(A);
  await element.updateComplete;
  click(root, label);
  await expect.poll(() => textOf(root.querySelector(".running"))).toBe(`${running} copying 512 B of 2.0 KiB Cancel`);
  expect([primary(root).disabled, button(root, "List paths")?.disabled]).toEqual([true, true]);
  click(root, "Cancel");
  await expect.poll(() => status(root)).toBe(cancelled);
  expect([primary(root).disabled, textOf(primary(root))]).toEqual([false, label]);
});

test("a failure is an alert, and the path stays filled in", async () => {
  const { store } = syncStore({ pull: () => Promise.reject(new StoreError("not-found", "the daemon lacks it")) });
  const { element, root } = await show(store);
  element.offerPull(C);
  await element.updateComplete;
  click(root, "Pull 1 path");
  await expect.poll(() => textOf(root.querySelector('[role="alert"]'))).toBe("The daemon lacks it.");
  expect(typed(root).value).toBe(C);
});

test("an address that is none is an alert, and nothing is sent", async () => {
  const { store, calls } = syncStore();
  const { element, root } = await show(store);
  element.offerPull(C);
  type(find<HTMLInputElement>(root, "[name=address]"), "javascript:alert(1)");
  await element.updateComplete;
  click(root, "Pull 1 path");
  await expect.poll(() => textOf(root.querySelector('[role="alert"]'))).toMatch(/should begin with http/);
  expect([calls, recallDaemon()]).toEqual([[], undefined]);
});

test("a transfer is cancelled when the element leaves the page", async () => {
  let signal: AbortSignal | undefined;
  const { store } = syncStore({
    pull(_remote, _paths, options = {}) {
      signal = options.signal;
      return untilAborted(options);
    },
  });
  const { element, root } = await show(store);
  element.offerPull(C);
  await element.updateComplete;
  click(root, "Pull 1 path");
  await expect.poll(() => signal?.aborted).toBe(false);
  element.remove();
  expect(signal?.aborted).toBe(true);
});

test("without a store, nothing can be listed or copied", async () => {
  const { element, root } = await mount("tvix-sync");
  element.offerPull(C);
  await element.updateComplete;
  expect([primary(root).disabled, button(root, "List paths")?.disabled]).toEqual([true, true]);
});
