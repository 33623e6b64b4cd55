import { afterEach, describe, expect, test } from "vitest";
import { PATH_VIEWS, pathViewsFor } from "../../src/elements/path-views/registry.ts";
import { STORE_PANELS } from "../../src/elements/store-panels/registry.ts";
import "../../src/elements/index.ts";
import { openStore, type PathInfo, type Store } from "../../src/index.ts";
import { narOf } from "../worker/trees.ts";
import { selectorsOf } from "./view-styles.browser.ts";

let store: Store | undefined;
afterEach(async () => {
  document.querySelector("tvix-store-viewer")?.remove();
  history.replaceState(null, "", location.pathname + location.search);
  await store?.close();
});

interface Viewer {
  readonly root: ShadowRoot;
  readonly tree: PathInfo;
  readonly file: PathInfo;
}

/** A viewer of a store with a directory and a file. */
async function openViewer(): Promise<Viewer> {
  store = await openStore(crypto.randomUUID(), { workers: 1 });
  const tree = await store.importNar(new Blob(narOf({ dir: { "a.txt": "a text" } })), { name: "tree" });
  const file = await store.importFile(new Blob(["a file"]), { name: "file" });
  const element = document.createElement("tvix-store-viewer");
  Object.assign(element, { store });
  document.body.append(element);
  await element.updateComplete;
  if (!element.shadowRoot) throw new Error("no shadow root");
  return { root: element.shadowRoot, tree, file };
}

async function go(root: ShadowRoot, place: string): Promise<void> {
  location.hash = `#${place}`;
  await expect.poll(() => root.querySelector(".title h2")?.textContent).toBe(place.split("/")[3]?.slice(33));
}

const selected = (root: ShadowRoot): string | undefined => root.querySelector('[role="tab"][aria-selected="true"]')?.id;
const shownView = (root: ShadowRoot): Element | null | undefined => root.querySelector(".tab-panel")?.firstElementChild;

/** The element that each view renders for a directory. */
const RENDERED: Readonly<Record<string, string>> = {
  files: ".files.at-tree > tvix-file-tree",
  info: "tvix-path-info",
};

describe("the registry of path views", () => {
  test("each view has a sample, a name of its own, and styles that apply to itself only", () => {
    expect(PATH_VIEWS.map(({ name }) => name).sort()).toEqual(Object.keys(RENDERED).sort());
    for (const { name, styles } of PATH_VIEWS) {
      const selectors = styles ? selectorsOf(styles) : [];
      expect(selectors.filter((selector) => !selector.startsWith(`.view-${name} `))).toEqual([]);
    }
  });

  test.each(Object.entries(RENDERED))(
    "%s accepts a directory and a file, and renders the directory as a tab",
    async (name, part) => {
      const { root, tree, file } = await openViewer();
      for (const info of [tree, file]) expect(pathViewsFor(info).map((view) => view.name)).toContain(name);
      await go(root, tree.storePath);
      root.querySelector<HTMLElement>(`#tab-${name}`)?.click();
      await expect.poll(() => root.querySelector(`.tab-panel.view-${name} ${part}`)).not.toBeNull();
      expect(root.querySelector(".tab-panel")?.getAttribute("aria-labelledby")).toBe(`tab-${name}`);
    },
  );

  test("a store path that is a file has no tree", async () => {
    const { root, file } = await openViewer();
    await go(root, file.storePath);
    await expect.poll(() => shownView(root)?.className).toBe("files one");
    expect(root.querySelector("tvix-file-tree")).toBeNull();
  });

  test("a chosen tab stays for the next store path, until the address names a file", async () => {
    const { root, tree, file } = await openViewer();
    await go(root, tree.storePath);
    expect(selected(root)).toBe("tab-files");
    root.querySelector<HTMLElement>("#tab-info")?.click();
    await expect.poll(() => selected(root)).toBe("tab-info");
    await go(root, file.storePath);
    expect(selected(root)).toBe("tab-info");
    await go(root, `${tree.storePath}/dir/a.txt`);
    await expect.poll(() => selected(root)).toBe("tab-files");
    expect(shownView(root)?.className).toBe("files at-file");
  });

  test("arrow keys go round the tabs, and take the focus along", async () => {
    const { root, tree } = await openViewer();
    await go(root, tree.storePath);
    const tabs = [...root.querySelectorAll<HTMLElement>('[role="tab"]')];
    tabs[0]?.focus();
    for (const [key, index] of [
      ["ArrowLeft", tabs.length - 1],
      ["ArrowRight", 0],
      ["ArrowRight", 1],
      ["Home", 1],
    ] as const) {
      root.activeElement?.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
      await expect.poll(() => selected(root)).toBe(tabs[index]?.id);
      await expect.poll(() => root.activeElement).toBe(tabs[index]);
    }
  });
});

/** The element that each panel renders. */
const PANELS: Readonly<Record<string, string>> = {
  import: "tvix-import",
  sync: "tvix-sync",
  storage: "tvix-store-storage",
};

describe("the registry of panels", () => {
  test("each panel has a sample and a name of its own", () => {
    expect(STORE_PANELS.map(({ name }) => name).sort()).toEqual(Object.keys(PANELS).sort());
  });

  test("one panel is open at a time, and gives the focus back to its button", async () => {
    const { root } = await openViewer();
    const button = (name: string): HTMLElement | null => root.querySelector(`header [aria-controls="panel-${name}"]`);
    await expect.poll(() => button("import")?.matches(":disabled")).toBe(false);
    for (const [name, part] of Object.entries(PANELS)) {
      button(name)?.click();
      await expect.poll(() => root.activeElement?.closest("aside")?.id).toBe(`panel-${name}`);
      const open = [...root.querySelectorAll("aside")].filter(({ hidden }) => !hidden);
      expect(open.map(({ id }) => id)).toEqual([`panel-${name}`]);
      expect(open[0]?.querySelector(part)).not.toBeNull();
      expect(button(name)?.getAttribute("aria-expanded")).toBe("true");
    }
    root.activeElement?.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape", bubbles: true }));
    await expect.poll(() => root.activeElement).toBe(button("storage"));
    expect([...root.querySelectorAll("aside")].every(({ hidden }) => hidden)).toBe(true);
  });

  test("a button tells that an operation of its panel is under way, also while the panel is closed", async () => {
    const { root } = await openViewer();
    const element = root.querySelector("#panel-sync tvix-sync");
    const tell = (running: boolean) =>
      element?.dispatchEvent(new CustomEvent("tvix-task", { detail: { running }, bubbles: true, composed: true }));
    const spinners = (): (string | null | undefined)[] =>
      [...root.querySelectorAll("header .spinner")].map((spinner) => spinner.closest("button")?.getAttribute("aria-controls"));
    tell(true);
    await expect.poll(spinners).toEqual(["panel-sync"]);
    tell(false);
    await expect.poll(spinners).toEqual([]);
  });
});
