import { afterEach, expect, test, vi } from "vitest";
import { rememberDaemon } from "../../src/elements/remembered-daemon.ts";
import type { TvixStoreStorage } from "../../src/elements/storage.ts";
import { type Remote, type Store, StoreError } from "../../src/index.ts";
import type { VerifyReport } from "../../src/thread/maintenance-api.ts";
import { fakeStore, held, storePathOf, USAGE, untilAborted } from "./fake-store.browser.ts";
import { type Mounted, mount } from "./mount.browser.ts";
import { button, click, find, textOf } from "./page.browser.ts";

const WHOLE: VerifyReport = { objects: 3, bytes: 2048, corrupt: [], missing: [], storePaths: [], refetched: 0 };
const DAMAGED: VerifyReport = { ...WHOLE, corrupt: [{ kind: "chunk", name: "b3:AAAA" }], storePaths: [storePathOf("damaged")] };

afterEach(() => {
  localStorage.clear();
  vi.restoreAllMocks();
});

async function show(parts: Partial<Store> = {}, properties: Partial<TvixStoreStorage> = {}): Promise<Mounted<TvixStoreStorage>> {
  const store = fakeStore({ usage: async () => USAGE, ...parts });
  const mounted = await mount("tvix-store-storage", { store, ...properties });
  if (!properties.paused) await expect.poll(() => mounted.root.querySelector("dl")?.getAttribute("aria-busy")).toBe("false");
  return mounted;
}

const section = (root: ShadowRoot, name: string): HTMLElement => {
  const heading = [...root.querySelectorAll("h3")].find((each) => textOf(each) === name);
  return find(root, `[aria-labelledby="${heading?.id}"]`);
};
const outcome = (root: ShadowRoot): string => textOf(root.querySelector('.outcome [role="status"]'));
const alert = (root: ShadowRoot): string => textOf(root.querySelector('[role="alert"]'));
const keeping = (root: ShadowRoot): string => textOf(section(root, "When space runs low").querySelector('[role="status"]'));

test("shows the figures in named sections; without a store, nothing can be started", async () => {
  const { root } = await show();
  expect(
    [...root.querySelectorAll("section")].map((each) => textOf(root.getElementById(each.getAttribute("aria-labelledby") ?? ""))),
  ).toEqual(["When space runs low", "All store paths in one file", "Maintenance"]);
  const empty = await mount("tvix-store-storage");
  expect([...empty.root.querySelectorAll("button")].map(({ disabled }) => disabled)).toEqual([true, true, true, true]);
});

test("measures again after a change, but not while it is paused or out of the page", async () => {
  const usage = vi.fn(async () => USAGE);
  const { element } = await show({ usage }, { paused: true });
  const { store } = element;
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  const counts = async (): Promise<number> => {
    store?.dispatchEvent(new Event("change"));
    await vi.advanceTimersByTimeAsync(1000);
    return usage.mock.calls.length;
  };
  try {
    expect(await counts()).toBe(0);
    element.paused = false;
    await element.updateComplete;
    expect(usage).toHaveBeenCalledTimes(1);
    expect(await counts()).toBe(2);
    element.remove();
    expect(await counts()).toBe(2);
  } finally {
    vi.useRealTimers();
  }
});

test("tells why the storage can't be measured", async () => {
  const store = fakeStore({ usage: () => Promise.reject(new StoreError("unavailable", "the worker is gone")) });
  const { root } = await mount("tvix-store-storage", { store });
  await expect.poll(() => alert(root)).toBe("The worker is gone.");
});

test.each([
  [true, "The browser has promised to keep this store.", true],
  [false, "The browser may delete this store.", false],
  [undefined, "This browser does not tell whether it keeps this store.", true],
])("tells whether the browser keeps the store, and offers to ask for it: %s", async (persisted, text, disabled) => {
  const { root } = await show({ usage: async () => ({ ...USAGE, persisted }) });
  await expect.poll(() => keeping(root)).toBe(text);
  expect(button(root, "Ask to keep")?.disabled).toBe(disabled);
});

test("shows the answer of the browser", async () => {
  let persisted = false;
  const persist = vi.fn<Store["persist"]>(async () => persisted);
  const { root } = await show({ persist, usage: async () => ({ ...USAGE, persisted }) });
  click(root, "Ask to keep");
  await expect.poll(() => keeping(root)).toMatch(/^The browser did not promise/);
  persist.mockRejectedValueOnce(new Error("no"));
  click(root, "Ask to keep");
  await expect.poll(() => keeping(root)).toMatch(/^The browser did not promise/);
  persisted = true;
  click(root, "Ask to keep");
  await expect.poll(() => keeping(root)).toBe("The browser has promised to keep this store.");
});

test.each([
  [{ objects: 0, bytes: 0 }, "There was no garbage."],
  [{ objects: 2, bytes: 2048 }, "Freed 2.0 KiB: 2 objects."],
])("collects garbage and tells how much: %o", async (report, text) => {
  const usage = vi.fn(async () => USAGE);
  const { root } = await show({ usage, collectGarbage: async () => report });
  click(root, "Collect garbage");
  await expect.poll(() => outcome(root)).toBe(text);
  await expect.poll(() => usage.mock.calls.length).toBe(2);
});

test.each([
  [[], [], "Restored 2 store paths and 9 objects."],
  [
    [{ kind: "chunk", name: "b3:AAAA" }],
    [storePathOf("lost")],
    "Restored 2 store paths and 9 objects. Lost: 1 damaged object, 1 incomplete store path.",
  ],
] as const)("restores packs that the database lacks, and tells what is back: %j %j", async (damaged, incomplete, text) => {
  const storePaths = [storePathOf("a"), storePathOf("b")];
  const repair = async () => ({ packs: 1, objects: 9, bytes: 2048, damaged, storePaths, incomplete });
  const { root } = await show({ repair, losses: { evicted: true, missingPacks: 0, unindexedPacks: 1 } });
  expect(alert(root)).toContain("The browser has deleted this store");
  click(root, "Restore");
  await expect.poll(() => outcome(root)).toBe(text);
  expect(root.querySelector('[role="alert"]')).toBeNull();
});

test("a failed restoration leaves the warning and the button", async () => {
  const repair = () => Promise.reject(new StoreError("unavailable", "the browser has no Web Locks"));
  const { root } = await show({ repair, losses: { evicted: false, missingPacks: 0, unindexedPacks: 1 } });
  click(root, "Restore");
  await expect.poll(() => textOf(root.querySelector(".outcome [role='alert']"))).toContain("The browser has no Web Locks.");
  expect(button(root, "Restore")?.disabled).toBe(false);
});

test("while an operation runs, no other one can be started; it can be cancelled", async () => {
  const { root } = await show({
    collectGarbage(options = {}) {
      options.onProgress?.({ phase: "marking", unit: "paths", loaded: 3 });
      return untilAborted(options);
    },
  });
  click(root, "Collect garbage");
  await expect.poll(() => textOf(root.querySelector(".running"))).toBe("Collecting garbage marking 3 Cancel");
  for (const name of ["Collect garbage", "Check everything", "Save all store paths…"])
    expect(button(root, name)?.disabled).toBe(true);
  click(root, "Cancel");
  await expect.poll(() => outcome(root)).toBe("Cancelled. Only garbage was deleted by then.");
});

test("an operation is cancelled when the element leaves the page, or gets another store", async () => {
  const signals: (AbortSignal | undefined)[] = [];
  const collectGarbage: Store["collectGarbage"] = (options = {}) => {
    signals.push(options.signal);
    return untilAborted(options);
  };
  const { element, root } = await show({ collectGarbage });
  click(root, "Collect garbage");
  await expect.poll(() => signals.map((signal) => signal?.aborted)).toEqual([false]);
  element.store = fakeStore({ usage: async () => USAGE, collectGarbage });
  await expect.poll(() => outcome(root)).toMatch(/^Cancelled/);
  expect(signals.map((signal) => signal?.aborted)).toEqual([true]);
  await expect.poll(() => button(root, "Collect garbage")?.disabled).toBe(false);
  click(root, "Collect garbage");
  await expect.poll(() => signals.length).toBe(2);
  element.remove();
  expect(signals[1]?.aborted).toBe(true);
});

test("checks everything, and says that nothing is damaged", async () => {
  const { root } = await show({ verify: async () => WHOLE });
  click(root, "Check everything");
  await expect.poll(() => textOf(root.querySelector(".outcome .done"))).toMatch(/^Everything is as it should be/);
  expect(button(root, "Fetch again from the daemon")).toBeUndefined();
});

test("a later check that fails or is cancelled leaves the earlier report; another store clears it", async () => {
  let damaged = true;
  const { element, root } = await show({
    verify(options) {
      if (damaged) return Promise.resolve(DAMAGED);
      return untilAborted(options);
    },
  });
  click(root, "Check everything");
  await expect.poll(() => alert(root)).toMatch(/^1 object damaged/);
  damaged = false;
  click(root, "Check everything");
  await expect.poll(() => button(root, "Cancel")).toBeDefined();
  expect(root.querySelector(".found")).toBeNull();
  click(root, "Cancel");
  await expect.poll(() => outcome(root)).toBe("Cancelled. The store is unchanged.");
  expect(alert(root)).toMatch(/^1 object damaged/);
  element.store = fakeStore({ usage: async () => USAGE });
  await element.updateComplete;
  expect(root.querySelector(".found")).toBeNull();
});

test("fetches damaged objects from the daemon that the reader used last, and checks again", async () => {
  rememberDaemon("http://used:1", "grpc-web");
  const remotes: (Remote | undefined)[] = [];
  const { root } = await show(
    {
      async verify({ remote } = {}) {
        remotes.push(remote);
        if (remote) return { ...DAMAGED, refetched: 1 };
        return remotes.length === 1 ? DAMAGED : WHOLE;
      },
    },
    { daemon: "http://daemon:8000" },
  );
  click(root, "Check everything");
  await expect.poll(() => button(root, "Fetch again from the daemon")).toBeDefined();
  expect(textOf(find(root, ".outcome .mono"))).toBe("http://used:1");
  click(root, "Fetch again from the daemon");
  await expect
    .poll(() => textOf(find(root, ".outcome")))
    .toMatch(/Fetched again: 1 of 1 store path\. Everything is as it should be/);
  expect(remotes[1]).toMatchObject({ url: "http://used:1", protocol: "grpc-web" });
});

test("without a daemon, or if it can't be reached, damage stays reported", async () => {
  const none = await show({ verify: async () => DAMAGED });
  click(none.root, "Check everything");
  await expect.poll(() => alert(none.root)).toMatch(/^1 object damaged/);
  expect(button(none.root, "Fetch again from the daemon")).toBeUndefined();
  const { root } = await show(
    { verify: async ({ remote } = {}) => (remote ? Promise.reject(new StoreError("unavailable", "no daemon")) : DAMAGED) },
    { daemon: "http://daemon:8000" },
  );
  click(root, "Check everything");
  await expect.poll(() => button(root, "Fetch again from the daemon")).toBeDefined();
  click(root, "Fetch again from the daemon");
  await expect.poll(() => alert(root)).toBe("No daemon.");
  expect(textOf(find(root, ".outcome"))).toContain("1 object damaged");
});

test("a cancellation tells whether objects were fetched by then", async () => {
  const again = held<void>();
  let checks = 0;
  const { root } = await show(
    {
      async verify({ remote, signal } = {}) {
        if (remote) return { ...DAMAGED, refetched: 1 };
        checks += 1;
        if (checks === 1) return DAMAGED;
        again.resolve();
        return untilAborted({ signal });
      },
    },
    { daemon: "http://daemon:8000" },
  );
  click(root, "Check everything");
  await expect.poll(() => button(root, "Fetch again from the daemon")).toBeDefined();
  click(root, "Fetch again from the daemon");
  await again.promise;
  click(root, "Cancel");
  await expect.poll(() => outcome(root)).toBe("Cancelled. The fetched data is kept.");
});

test("warns of missing packs, until a check finds nothing missing", async () => {
  const { root } = await show({ losses: { evicted: false, missingPacks: 1, unindexedPacks: 0 }, verify: async () => WHOLE });
  expect(alert(root)).toMatch(/^1 pack of this store is missing/);
  click(root, "Check everything");
  await expect.poll(() => alert(root)).toBe("");
});

test("saves all store paths in one file; an empty store has none to save", async () => {
  const offered: string[] = [];
  vi.spyOn(HTMLAnchorElement.prototype, "click").mockImplementation(function (this: HTMLAnchorElement) {
    offered.push(this.download);
  });
  const { root } = await show({ nario: () => new Blob(["x"]).stream() });
  click(root, "Save all store paths…");
  await expect.poll(() => outcome(root)).toBe("Saved 2 store paths.");
  expect(offered).toEqual(["store.nario"]);
  const empty = await show({ usage: async () => ({ ...USAGE, storePaths: 0 }) });
  await expect.poll(() => button(empty.root, "Save all store paths…")?.disabled).toBe(true);
});
