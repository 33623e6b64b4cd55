import { html, LitElement, type TemplateResult } from "lit";
import { beforeAll, expect, test } from "vitest";
import { PanelSet } from "../../src/elements/panel-set.ts";
import { importPanel } from "../../src/elements/store-panels/import.ts";
import { storagePanel } from "../../src/elements/store-panels/storage.ts";
import { syncPanel } from "../../src/elements/store-panels/sync.ts";
import type { Store } from "../../src/index.ts";
import { fakeStore, USAGE } from "./fake-store.browser.ts";
import { addElement, button, click, find, press } from "./page.browser.ts";

class PanelHost extends LitElement {
  static override properties = { store: { attribute: false } };
  declare store: Store | undefined;
  readonly panels = new PanelSet(this);

  override render(): TemplateResult {
    const context = { store: this.store, paths: [], daemon: "http://localhost:8000" };
    return html`<header>${this.panels.renderButtons(this.store)}</header>${this.panels.renderPanels(context)}`;
  }
}

beforeAll(() => customElements.define("panel-host", PanelHost));

interface Shown {
  readonly host: PanelHost;
  readonly root: ShadowRoot;
  readonly header: HTMLElement;
}

async function show(store: Store | undefined = fakeStore({ usage: async () => USAGE })): Promise<Shown> {
  const host = addElement(Object.assign(new PanelHost(), { store }));
  await host.updateComplete;
  const root = host.renderRoot as ShadowRoot;
  return { host, root, header: find(root, "header") };
}

const openPanels = (root: ShadowRoot): string[] =>
  [...root.querySelectorAll("aside")].filter(({ hidden }) => !hidden).map(({ id }) => id);

test("each panel has a button that tells whether the panel is open, and a name", async () => {
  const { root, header } = await show();
  const buttons = [...header.querySelectorAll("button")];
  expect(buttons.map((each) => [each.getAttribute("aria-controls"), each.getAttribute("aria-expanded")])).toEqual([
    ["panel-import", "false"],
    ["panel-sync", "false"],
    ["panel-storage", "false"],
  ]);
  expect([...root.querySelectorAll("aside")].map((panel) => panel.getAttribute("aria-label"))).toEqual([
    importPanel.title,
    syncPanel.title,
    storagePanel.title,
  ]);
  expect(openPanels(root)).toEqual([]);
});

test("without a store, no panel can be opened", async () => {
  const { header } = await show(fakeStore());
  expect(button(header, "Import")?.disabled).toBe(false);
  const host = addElement(new PanelHost());
  await host.updateComplete;
  for (const each of host.renderRoot.querySelectorAll<HTMLButtonElement>("header button")) expect(each.disabled).toBe(true);
});

test("a button opens its panel and moves the focus into it; the same button closes it", async () => {
  const { host, root, header } = await show();
  click(header, "Sync");
  await host.updateComplete;
  expect(openPanels(root)).toEqual(["panel-sync"]);
  expect(root.activeElement?.closest("aside")?.id).toBe("panel-sync");
  expect(button(header, "Sync")?.getAttribute("aria-expanded")).toBe("true");
  click(header, "Sync");
  await host.updateComplete;
  expect(openPanels(root)).toEqual([]);
  expect(root.activeElement).toBe(button(header, "Sync"));
});

test("opening a panel closes the one before; the cross and Escape give the focus back", async () => {
  const { host, root, header } = await show();
  click(header, "Import");
  await host.updateComplete;
  click(header, "Storage");
  await host.updateComplete;
  expect(openPanels(root)).toEqual(["panel-storage"]);
  click(find(root, "#panel-storage .panel-head"), "Close");
  await host.updateComplete;
  expect([openPanels(root), root.activeElement]).toEqual([[], button(header, "Storage")]);
  click(header, "Import");
  await host.updateComplete;
  press(find(root, "#panel-import .panel-body"), "Tab");
  expect(host.panels.shown).toBe(importPanel);
  press(find(root, "#panel-import .panel-body"), "Escape");
  await host.updateComplete;
  expect([openPanels(root), root.activeElement]).toEqual([[], button(header, "Import")]);
});

test("`show` leaves the focus where it is", async () => {
  const { host, root } = await show();
  host.panels.show(syncPanel);
  await host.updateComplete;
  expect([openPanels(root), root.activeElement]).toEqual([["panel-sync"], null]);
  expect(host.panels.shown).toBe(syncPanel);
});

test("a panel keeps its element and state while it is closed", async () => {
  const { host, root } = await show();
  const before = root.querySelector("tvix-sync");
  host.panels.show(syncPanel);
  await host.updateComplete;
  host.panels.show(undefined);
  await host.updateComplete;
  expect(before).not.toBeNull();
  expect(root.querySelector("tvix-sync")).toBe(before);
});

test("a button shows that an operation of its panel runs, until the last one ends", async () => {
  const { host, root, header } = await show();
  const busy = (): boolean[] =>
    [...header.querySelectorAll("button")].map((each) => each.querySelector('[role="img"][aria-label="under way"]') !== null);
  const tell = async (selector: string, running: boolean): Promise<void> => {
    const detail = { running };
    find(root, selector).dispatchEvent(new CustomEvent("tvix-task", { detail, bubbles: true, composed: true }));
    await host.updateComplete;
  };
  await tell("tvix-import", true);
  await tell("tvix-binary-cache", true);
  await tell("tvix-sync", true);
  expect(busy()).toEqual([true, true, false]);
  await tell("tvix-import", false);
  expect(busy()).toEqual([true, true, false]);
  await tell("tvix-binary-cache", false);
  await tell("tvix-sync", false);
  expect(busy()).toEqual([false, false, false]);
});

test("the button of the storage panel warns of losses", async () => {
  const { header } = await show(
    fakeStore({ usage: async () => USAGE, losses: { evicted: false, missingPacks: 2, unindexedPacks: 0 } }),
  );
  const warnings = [...header.querySelectorAll('[aria-label="something was lost"]')];
  expect(warnings.map((each) => each.closest("button")?.getAttribute("aria-controls"))).toEqual(["panel-storage"]);
});
