import { html, LitElement, type TemplateResult } from "lit";
import { beforeAll, expect, test } from "vitest";
import { PathTabs } from "../../src/elements/path-tabs.ts";
import type { PathInfo } from "../../src/index.ts";
import { each, fakeStore, pathInfo } from "./fake-store.browser.ts";
import { addElement, find, press, textOf } from "./page.browser.ts";

class TabsHost extends LitElement {
  static override properties = { info: { attribute: false } };
  declare info: PathInfo;
  readonly tabs = new PathTabs(this);
  readonly #store = fakeStore({
    list: () => each([]),
    narInfo: async () => "",
    verifySignatures: async () => ({ signatures: [], contentAddressed: false }),
  });

  override render(): TemplateResult {
    return html`${this.tabs.render({ store: this.#store, info: this.info, path: new Uint8Array(0), paths: [], go: () => {} })}`;
  }
}

beforeAll(() => customElements.define("tabs-host", TabsHost));

async function show(): Promise<{ host: TabsHost; root: ShadowRoot; tabs: HTMLElement[] }> {
  const host = addElement(Object.assign(new TabsHost(), { info: pathInfo("one") }));
  await host.updateComplete;
  const root = host.renderRoot as ShadowRoot;
  return { host, root, tabs: [...root.querySelectorAll<HTMLElement>('[role="tab"]')] };
}

const selected = (root: ShadowRoot): string => textOf(find(root, '[role="tab"][aria-selected="true"]'));
const panel = (root: ShadowRoot): HTMLElement => find(root, '[role="tabpanel"]');

test("the views are tabs of one named list, and one panel belongs to the selected tab", async () => {
  const { root, tabs } = await show();
  expect(find(root, '[role="tablist"]').getAttribute("aria-label")).toBe("Views");
  expect(tabs.map(textOf)).toEqual(["Files", "Info"]);
  expect(tabs.map((tab) => tab.getAttribute("aria-controls"))).toEqual([panel(root).id, panel(root).id]);
  expect(panel(root).getAttribute("aria-labelledby")).toBe(tabs[0]?.id);
  expect(panel(root).querySelector("tvix-file-tree")).not.toBeNull();
});

test("a click chooses a tab; only the selected tab is in the order of the Tab key", async () => {
  const { host, root, tabs } = await show();
  expect(tabs.map(({ tabIndex }) => tabIndex)).toEqual([0, -1]);
  tabs[1]?.click();
  await host.updateComplete;
  expect([selected(root), panel(root).getAttribute("aria-labelledby")]).toEqual(["Info", tabs[1]?.id]);
  expect(panel(root).querySelector("tvix-path-info")).not.toBeNull();
  expect(tabs.map(({ tabIndex }) => tabIndex)).toEqual([-1, 0]);
});

test("arrow keys go round the tabs, and take the focus along; other keys do nothing", async () => {
  const { root, tabs } = await show();
  tabs[0]?.focus();
  for (const [key, name] of [
    ["ArrowLeft", "Info"],
    ["ArrowRight", "Files"],
    ["ArrowRight", "Info"],
    ["ArrowDown", "Info"],
    ["Home", "Info"],
  ] as const) {
    press(root.activeElement ?? root.host, key);
    await expect.poll(() => selected(root)).toBe(name);
    await expect.poll(() => textOf(root.activeElement)).toBe(name);
  }
});

test("the chosen tab stays for the next store path, until a file is opened", async () => {
  const { host, root, tabs } = await show();
  tabs[1]?.click();
  host.info = pathInfo("two");
  await host.updateComplete;
  expect(selected(root)).toBe("Info");
  host.tabs.chooseFiles();
  await host.updateComplete;
  expect(selected(root)).toBe("Files");
});
