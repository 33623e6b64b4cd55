import { afterEach, expect, test, vi } from "vitest";
import type { TvixImport } from "../../src/elements/import.ts";
import { type PathInfo, type Store, StoreError } from "../../src/index.ts";
import { fakeStore, held, pathInfo, untilAborted } from "./fake-store.browser.ts";
import { type Mounted, mount } from "./mount.browser.ts";
import { button, choose, click, find, record, textOf, type } from "./page.browser.ts";

afterEach(() => vi.unstubAllGlobals());

const INFO = pathInfo("result");
const TAR = new File([new Uint8Array(2048)], "site-1.0.tar.gz");
const NARIO = new File(["x"], "closure.nario");

interface Call {
  readonly kind: string;
  readonly source: unknown;
  readonly name?: string | undefined;
}

/** A store that records its imports. */
function importStore(parts: Partial<Store> = {}): { store: Store; calls: Call[] } {
  const calls: Call[] = [];
  const store = fakeStore({
    async importTar(source, { name }) {
      calls.push({ kind: "tar", source, name });
      return INFO;
    },
    async importNar(source) {
      calls.push({ kind: "nar", source });
      return INFO;
    },
    async importDirectory(source, { name }) {
      calls.push({ kind: "folder", source, name });
      return { ...INFO, notTold: ["executable-bits"] };
    },
    async importNario(source) {
      calls.push({ kind: "nario", source });
      return [INFO, pathInfo("other")];
    },
    ...parts,
  });
  return { store, calls };
}

const show = (store: Store | undefined = importStore().store): Promise<Mounted<TvixImport>> => mount("tvix-import", { store });
const nameField = (root: ShadowRoot): HTMLInputElement => find<HTMLInputElement>(root, "[name=path-name]");
const alert = (root: ShadowRoot): string => textOf(root.querySelector('[role="alert"]'));
const status = (root: ShadowRoot): string => textOf(root.querySelector('[role="status"]'));

/** Offers a source, and waits until the form shows what was detected about it. */
async function offer({ element }: Mounted<TvixImport>, source: Parameters<TvixImport["offer"]>[0]): Promise<void> {
  element.offer(source);
  await new Promise((resolve) => setTimeout(resolve, 20));
  await element.updateComplete;
}

/** A drop with these items, as far as the element reads it. */
function dropOf(...files: File[]): DataTransfer {
  const items = files.map((file) => ({ kind: "file", webkitGetAsEntry: () => null, getAsFile: () => file }));
  return { items, types: ["Files"] } as unknown as DataTransfer;
}

test("offers a drop area and two buttons", async () => {
  const { root } = await show();
  expect([...root.querySelectorAll("button")].map(textOf)).toEqual(["Choose folder…", "Choose archive…"]);
  expect([...root.querySelectorAll("input")].map((input) => [input.getAttribute("aria-label"), input.hidden])).toEqual([
    ["Folder", true],
    ["File of an archive", true],
  ]);
});

test("a dropped file fills in a form with its name, size and kind", async () => {
  const { element, root } = await show();
  const area = find(root, ".drop");
  expect(area.dispatchEvent(new DragEvent("dragover", { cancelable: true }))).toBe(false);
  await element.updateComplete;
  expect(area.classList.contains("over")).toBe(true);
  await element.takeDrop(dropOf(TAR));
  await element.updateComplete;
  expect(textOf(find(root, ".source"))).toBe("site-1.0.tar.gz 2.0 KiB");
  expect([nameField(root).value, root.activeElement]).toEqual(["site-1.0", nameField(root)]);
  expect(find<HTMLSelectElement>(root, "[name=archive-kind]").value).toBe("tar");
  expect(textOf(find(root, 'label[for="path-name"]'))).toBe("Name of the store path");
});

test("tells why a drop can't be imported", async () => {
  const { element, root } = await show();
  await element.takeDrop(dropOf());
  await element.updateComplete;
  expect(alert(root)).toBe("That was neither a file nor a folder.");
  await element.takeDrop(dropOf(TAR, NARIO));
  await element.updateComplete;
  expect(alert(root)).toMatch(/^Only one folder or archive/);
  expect(root.querySelector("form")).toBeNull();
  await element.takeDrop(dropOf(TAR));
  await element.updateComplete;
  expect(alert(root)).toBe("");
});

test("imports under the name that the reader gives, and links to the result", async () => {
  const { store, calls } = importStore();
  const mounted = await show(store);
  const { element, root } = mounted;
  const imported = record<{ info: PathInfo }>(document.body, "tvix-imported");
  await offer(mounted, TAR);
  type(nameField(root), "renamed");
  click(root, "Import");
  await expect.poll(() => status(root)).toBe(`Imported as ${INFO.storePath}`);
  expect(find(root, "a").getAttribute("href")).toBe(`#${INFO.storePath}`);
  expect(calls).toEqual([{ kind: "tar", source: TAR, name: "renamed" }]);
  expect(imported).toEqual([{ info: INFO }]);
  await element.updateComplete;
  expect(root.querySelector("form")).toBeNull();
  expect(button(root, "Choose folder…")).toBeDefined();
});

test("the reader can correct the kind of the archive", async () => {
  const { store, calls } = importStore();
  const mounted = await show(store);
  await offer(mounted, TAR);
  choose(find<HTMLSelectElement>(mounted.root, "[name=archive-kind]"), "nar");
  click(mounted.root, "Import");
  await expect.poll(() => calls.map(({ kind }) => kind)).toEqual(["nar"]);
});

test("refuses a name that Nix does not allow, and says why at the field", async () => {
  const { store, calls } = importStore();
  const mounted = await show(store);
  const { element, root } = mounted;
  await offer(mounted, TAR);
  const fault = find(root, `#${nameField(root).getAttribute("aria-describedby")}`);
  for (const name of ["", "a b", ".", "ü", "x".repeat(212), "a\u202eb"]) {
    type(nameField(root), name);
    await element.updateComplete;
    expect(textOf(fault)).not.toBe("");
    expect([nameField(root).getAttribute("aria-invalid"), button(root, "Import")?.disabled]).toEqual(["true", true]);
  }
  find<HTMLFormElement>(root, "form").dispatchEvent(new SubmitEvent("submit", { cancelable: true }));
  expect(calls).toEqual([]);
  type(nameField(root), "good");
  await element.updateComplete;
  expect([textOf(fault), nameField(root).getAttribute("aria-invalid"), button(root, "Import")?.disabled]).toEqual([
    "",
    "false",
    false,
  ]);
});

test("a nario needs no name, and tells the number of its paths", async () => {
  const { store, calls } = importStore();
  const mounted = await show(store);
  const { root } = mounted;
  const pulled = record<{ paths: number }>(document.body, "tvix-pulled");
  const imported = record(document.body, "tvix-imported");
  await offer(mounted, NARIO);
  expect(nameField(root).checkVisibility()).toBe(false);
  click(root, "Import");
  await expect.poll(() => status(root)).toBe("Imported 2 store paths.");
  expect([calls.map(({ kind }) => kind), pulled, imported]).toEqual([["nario"], [{ paths: 2 }], []]);
});

test("tells what the browser did not report about a folder", async () => {
  const { store, calls } = importStore();
  const mounted = await show(store);
  const file = new File(["x"], "x");
  await offer(mounted, { name: "my site", source: [file] });
  expect(mounted.root.querySelector("select")).toBeNull();
  expect(nameField(mounted.root).value).toBe("my-site");
  click(mounted.root, "Import");
  await expect.poll(() => status(mounted.root)).toContain("Browsers don't report which files are executable");
  expect(calls).toEqual([{ kind: "folder", source: [file], name: "my-site" }]);
});

test("shows progress, and keeps the form after a cancellation and after a failure", async () => {
  const result = held<PathInfo>();
  let attempt = 0;
  const { store } = importStore({
    async importTar(_, options) {
      options.onProgress?.({ phase: "reading", unit: "bytes", loaded: 1024, total: 2048 });
      attempt += 1;
      return attempt === 1 ? untilAborted(options) : result.promise;
    },
  });
  const mounted = await show(store);
  const { root } = mounted;
  await offer(mounted, TAR);
  click(root, "Import");
  await expect.poll(() => textOf(root.querySelector(".running"))).toBe("Importing site-1.0 reading 1.0 KiB of 2.0 KiB Cancel");
  const bar = find<HTMLProgressElement>(root, "progress");
  expect([bar.getAttribute("aria-label"), bar.position, root.querySelector("form")]).toEqual(["Importing site-1.0", 0.5, null]);
  mounted.element.offer(NARIO);
  click(root, "Cancel");
  await expect.poll(() => status(root)).toBe("Cancelled. The store is unchanged.");
  expect(textOf(find(root, ".source"))).toContain(TAR.name);
  click(root, "Import");
  result.reject(new StoreError("quota", "the disk is full"));
  await expect.poll(() => alert(root)).toMatch(/^There is no room left/);
  expect(nameField(root).value).toBe("site-1.0");
});

test("an import is cancelled when the element leaves the page", async () => {
  let signal: AbortSignal | undefined;
  const { store } = importStore({
    importTar(_, options) {
      signal = options.signal;
      return untilAborted(options);
    },
  });
  const mounted = await show(store);
  await offer(mounted, TAR);
  click(mounted.root, "Import");
  await expect.poll(() => signal?.aborted).toBe(false);
  mounted.element.remove();
  expect(signal?.aborted).toBe(true);
});

test("another source can be chosen, and what the last one left disappears", async () => {
  const { store } = importStore({ importTar: () => Promise.reject(new StoreError("invalid", "it is no archive")) });
  const mounted = await show(store);
  const { element, root } = mounted;
  await offer(mounted, TAR);
  click(root, "Import");
  await expect.poll(() => alert(root)).toBe("It is no archive.");
  click(root, "Choose another");
  await element.updateComplete;
  expect([alert(root), root.querySelector("form")]).toEqual(["", null]);
});

test("without a store, nothing can be imported", async () => {
  const mounted = await mount("tvix-import");
  await offer(mounted, TAR);
  expect(button(mounted.root, "Import")?.disabled).toBe(true);
});

test("a folder comes from the browser's picker; a closed picker changes nothing, a refusal is told", async () => {
  const handle = { name: "picked", kind: "directory" };
  const picker = vi.fn(async () => handle);
  vi.stubGlobal("showDirectoryPicker", picker);
  const { element, root } = await show();
  click(root, "Choose folder…");
  await expect.poll(() => textOf(root.querySelector(".source"))).toBe("picked folder");
  click(root, "Choose another");
  await element.updateComplete;
  picker.mockRejectedValueOnce(new DOMException("closed", "AbortError"));
  click(root, "Choose folder…");
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect([root.querySelector("form"), alert(root)]).toEqual([null, ""]);
  picker.mockRejectedValueOnce(new DOMException("not allowed", "SecurityError"));
  click(root, "Choose folder…");
  await expect.poll(() => alert(root)).toBe("Not allowed.");
});

test("without a picker, the input for folders opens; it refuses a folder without files", async () => {
  vi.stubGlobal("showDirectoryPicker", undefined);
  const { root } = await show();
  const input = find<HTMLInputElement>(root, "input[name=folder]");
  const opened = vi.spyOn(input, "click").mockImplementation(() => {});
  click(root, "Choose folder…");
  expect(opened).toHaveBeenCalledTimes(1);
  input.dispatchEvent(new Event("change"));
  await expect.poll(() => alert(root)).toMatch(/^That folder has no files/);
});

test("shows the name of a source with escapes", async () => {
  const mounted = await show();
  await offer(mounted, new File(["x"], "gnp\u202e.<b>x</b>"));
  expect(textOf(find(mounted.root, ".source strong"))).toBe("gnp\\u{202e}.<b>x</b>");
  expect(mounted.root.querySelector("b")).toBeNull();
});
