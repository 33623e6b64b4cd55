import { afterEach, expect, test, vi } from "vitest";
import { keepKeys } from "../../src/elements/kept-keys.ts";
import type { TvixPathInfo } from "../../src/elements/path-info.ts";
import { type PathInfo, type Store, StoreError } from "../../src/index.ts";
import type { SignatureReport } from "../../src/store/signature-report.ts";
import { baseOf, fakeStore, held, pathInfo } from "./fake-store.browser.ts";
import { type Mounted, mount } from "./mount.browser.ts";
import { button, click, count, find, textOf } from "./page.browser.ts";

const KEY = `a-1:${"A".repeat(43)}=`;
const UNCHECKED: SignatureReport = { signatures: [], contentAddressed: false };

afterEach(() => {
  localStorage.clear();
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

function infoStore(parts: Partial<Store> = {}): Store {
  return fakeStore({
    narInfo: async (storePath) => `StorePath: ${storePath}\n`,
    verifySignatures: async () => UNCHECKED,
    ...parts,
  });
}

async function show(info: PathInfo, properties: Partial<TvixPathInfo> = {}): Promise<Mounted<TvixPathInfo>> {
  const mounted = await mount("tvix-path-info", { store: infoStore(), info, ...properties });
  await expect.poll(() => mounted.root.querySelector("pre")?.textContent).not.toBe("Reading…");
  return mounted;
}

/** The text of the facts, by their terms. */
function facts(root: ShadowRoot): Record<string, string> {
  return Object.fromEntries([...root.querySelectorAll("dt")].map((term) => [textOf(term), textOf(term.nextElementSibling)]));
}

const narInfo = (root: ShadowRoot): string => find(root, '[aria-label="NARInfo text"]').textContent;

test("shows all facts; those that the path lacks have no row", async () => {
  const info = pathInfo("hello");
  const { root } = await show(info);
  expect(facts(root)).toMatchObject({
    "Store path": info.storePath,
    "NAR hash": info.narHash,
    "NAR size": `2.0 KiB (${count(2048)} bytes)`,
    References: "none",
    "Referred to by": "none",
  });
  expect(Object.keys(facts(root))).not.toContain("Deriver");
  expect(Object.keys(facts(root))).not.toContain("Content address");
  expect(narInfo(root)).toBe(`StorePath: ${info.storePath}\n`);
});

test("links to the references and referrers that the store has, and tells which ones it lacks", async () => {
  const lib = pathInfo("lib");
  const absent = baseOf(pathInfo("absent").storePath);
  const base = pathInfo("hello");
  const info = pathInfo("hello", { references: [baseOf(lib.storePath), absent, baseOf(base.storePath)], deriver: absent });
  const user = pathInfo("user", { references: [baseOf(info.storePath)] });
  const { root } = await show(info, { paths: [info, lib, user] });
  const list = (id: string): string[] => [...root.querySelectorAll(`[aria-labelledby="${id}"] li`)].map(textOf);
  expect(list("references")).toEqual([
    baseOf(lib.storePath),
    `${absent} (not in this store)`,
    `${baseOf(info.storePath)} (itself)`,
  ]);
  expect(list("referrers")).toEqual([baseOf(user.storePath)]);
  expect([...root.querySelectorAll("dl a")].map((link) => link.getAttribute("href"))).toEqual([
    `#${lib.storePath}`,
    `#${user.storePath}`,
  ]);
  expect(facts(root).Deriver).toBe(`${absent} (not in this store)`);
});

test("tells that a path which follows from its content needs no signature", async () => {
  const info = pathInfo("hello", { ca: "fixed:r:sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73" });
  const store = infoStore({ verifySignatures: async () => ({ signatures: [], contentAddressed: true }) });
  const { root } = await show(info, { store });
  await expect.poll(() => facts(root)["Content address"]).toMatch(/^fixed:r:sha256:\S+✓ content-addressed/);
  const other = await show(info);
  expect(facts(other.root)["Content address"]).toBe(info.ca);
});

test("checks the signatures with the reader's keys, again when these change, until it leaves the page", async () => {
  const checks: string[][] = [];
  const store = infoStore({
    async verifySignatures(_, { trustedPublicKeys = [] } = {}) {
      const keys = [...trustedPublicKeys];
      checks.push(keys);
      return {
        signatures: [{ keyName: "a-1", state: keys.length ? "verified" : "unknown", signature: "a-1:s" }],
        contentAddressed: false,
      };
    },
  });
  const { element, root } = await show(pathInfo("hello", { signatures: ["a-1:s"] }), { store });
  await expect.poll(() => textOf(root.querySelector(".signatures"))).toBe("a-1 key not known");
  keepKeys(KEY);
  await expect.poll(() => textOf(root.querySelector(".signatures"))).toBe("a-1 ✓ verified");
  expect(checks).toEqual([[], [KEY]]);
  element.remove();
  keepKeys(`b-1:${"B".repeat(42)}A=`);
  await element.updateComplete;
  expect(checks.length).toBe(2);
});

test("shows nothing that arrives late of the path before", async () => {
  const late = held<string>();
  const [first, second] = [pathInfo("first"), pathInfo("second")];
  const store = infoStore({ narInfo: async (storePath) => (storePath === first.storePath ? late.promise : "second") });
  const { element, root } = await mount("tvix-path-info", { store, info: first });
  element.info = second;
  await expect.poll(() => narInfo(root)).toBe("second");
  late.resolve("first");
  await new Promise((resolve) => setTimeout(resolve));
  await element.updateComplete;
  expect(narInfo(root)).toBe("second");
  element.info = undefined;
  await element.updateComplete;
  expect(textOf(root)).toBe("");
});

test("tells why the NARInfo or the signatures can't be read", async () => {
  for (const part of ["narInfo", "verifySignatures"]) {
    const store = infoStore({ [part]: () => Promise.reject(new StoreError("corrupt", "the record is damaged")) });
    const { root } = await mount("tvix-path-info", { store, info: pathInfo("hello") });
    await expect.poll(() => textOf(root.querySelector('[role="alert"]'))).toContain("The record is damaged");
    expect(root.querySelector("pre")).toBeNull();
  }
});

test("copies the NARInfo once it is there, and says so", async () => {
  const text = held<string>();
  const writeText = vi.fn(async (_text: string) => {});
  vi.stubGlobal("navigator", { clipboard: { writeText } });
  const { element, root } = await mount("tvix-path-info", {
    store: infoStore({ narInfo: () => text.promise }),
    info: pathInfo("hello"),
  });
  expect(button(root, "Copy")?.disabled).toBe(true);
  text.resolve("the text");
  await expect.poll(() => button(root, "Copy")?.disabled).toBe(false);
  click(root, "Copy");
  await expect.poll(() => button(root, "Copied")).toBeDefined();
  expect(writeText.mock.calls).toEqual([["the text"]]);
  element.info = pathInfo("other");
  await expect.poll(() => button(root, "Copy")).toBeDefined();
});

test("tells that the browser refused the clipboard", async () => {
  vi.stubGlobal("navigator", {
    clipboard: { writeText: () => Promise.reject(new DOMException("not allowed", "NotAllowedError")) },
  });
  const { root } = await show(pathInfo("hello"));
  click(root, "Copy");
  await expect.poll(() => textOf(root.querySelector('[role="alert"]'))).toBe("Not allowed.");
});

test("downloads the NAR under the path's name, and can be cancelled", async () => {
  const offered: string[] = [];
  vi.spyOn(HTMLAnchorElement.prototype, "click").mockImplementation(function (this: HTMLAnchorElement) {
    offered.push(this.download);
  });
  let cancelled = 0;
  let endless = true;
  const store = infoStore({
    nar: () =>
      new ReadableStream<Uint8Array>({
        async pull(controller) {
          controller.enqueue(new Uint8Array(1024));
          if (!endless) controller.close();
          await new Promise((resolve) => setTimeout(resolve, 5));
        },
        cancel() {
          cancelled += 1;
        },
      }),
  });
  const { root } = await show(pathInfo("hello"), { store });
  click(root, "Download NAR");
  await expect.poll(() => root.querySelector("progress")?.getAttribute("aria-label")).toBe("Saving the NAR");
  expect(button(root, "Download NAR")?.disabled).toBe(true);
  click(root, "Cancel");
  await expect.poll(() => textOf(root.querySelector('[role="status"]'))).toBe("Cancelled. Nothing was saved.");
  expect([cancelled, offered]).toEqual([1, []]);
  endless = false;
  click(root, "Download NAR");
  await expect.poll(() => textOf(root.querySelector('[role="status"]'))).toBe("Saved the NAR.");
  expect(offered).toEqual(["hello.nar"]);
});

test("a page can hide the download", async () => {
  const { root } = await show(pathInfo("hello"), { hideDownload: true });
  expect(button(root, "Download NAR")).toBeUndefined();
});

test("a download ends when the element leaves the page", async () => {
  let cancelled = false;
  const store = infoStore({
    nar: () =>
      new ReadableStream<Uint8Array>({
        cancel() {
          cancelled = true;
        },
      }),
  });
  const { element, root } = await show(pathInfo("hello"), { store });
  click(root, "Download NAR");
  await expect.poll(() => button(root, "Cancel")).toBeDefined();
  element.remove();
  await expect.poll(() => cancelled).toBe(true);
});
