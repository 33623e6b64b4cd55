import { afterEach, expect, test } from "vitest";
import { theme } from "../../src/elements/theme.ts";
import { viewerLayout } from "../../src/elements/viewer-layout.ts";
import { find } from "./page.browser.ts";

const CONTENT = `
  <header><h1><a href="#/">Nix store</a></h1><span class="dim count">3 paths</span><button>Import</button></header>
  <main>
    <nav><div>paths</div></nav>
    <section class="detail">
      <a class="back" href="#/">back</a>
      <div class="title"><div class="names"><h2>name</h2></div></div>
      <div class="tabs"><button role="tab" aria-selected="true">Files</button></div>
      <div class="tab-panel"><div>content</div></div>
    </section>
    <aside><div class="panel-head"><h2>Import</h2></div><div class="panel-body">panel</div></aside>
  </main>`;

const frames: HTMLIFrameElement[] = [];
afterEach(() => {
  for (const frame of frames.splice(0)) frame.remove();
});

/** Lays out the parts of the viewer in a window of this width. @param at class of `main` */
async function layOut(width: number, at: "at-list" | "at-path"): Promise<HTMLElement> {
  const frame = document.createElement("iframe");
  frame.style.cssText = `width: ${width}px; height: 600px; border: 0`;
  frames.push(frame);
  document.body.append(frame);
  const inner = frame.contentDocument;
  if (!inner) throw new Error("the frame has no document");
  inner.body.style.cssText = "margin: 0; height: 600px";
  const host = inner.createElement("div");
  const root = host.attachShadow({ mode: "open" });
  root.innerHTML = `<style>${theme.cssText} ${viewerLayout.cssText}</style>${CONTENT}`;
  find(root, "main").className = at;
  inner.body.append(host);
  return find(root, "main");
}

const box = (main: HTMLElement, selector: string): DOMRect => find(main, selector).getBoundingClientRect();
const isShown = (main: HTMLElement, selector: string): boolean => box(main, selector).width > 0;

test("on a wide screen, the list is beside the store path, and a panel covers only a part", async () => {
  for (const at of ["at-list", "at-path"] as const) {
    const main = await layOut(1400, at);
    expect(box(main, "nav").right).toBeLessThanOrEqual(box(main, ".detail").left);
    expect(box(main, "nav").width).toBeGreaterThanOrEqual(256);
    expect(box(main, "aside").width).toBeLessThanOrEqual(28 * 16);
    expect(box(main, "aside").right).toBe(1400);
    expect(isShown(main, ".back")).toBe(false);
  }
});

test("on a narrow screen, either the list or the store path is shown, with a way back", async () => {
  const list = await layOut(400, "at-list");
  expect([isShown(list, "nav"), isShown(list, ".detail")]).toEqual([true, false]);
  expect(box(list, "nav").width).toBe(400);
  const path = await layOut(400, "at-path");
  expect([isShown(path, "nav"), isShown(path, ".detail"), isShown(path, ".back")]).toEqual([false, true, true]);
  expect(box(path, ".detail").width).toBe(400);
  expect(box(path, "aside").width).toBe(400);
});

test("the viewer fills its height, and only its parts scroll", async () => {
  for (const width of [400, 800, 1400]) {
    const main = await layOut(width, "at-path");
    const host = (main.getRootNode() as ShadowRoot).host;
    expect(host.getBoundingClientRect().height).toBe(600);
    expect(box(main, ".detail").bottom).toBeCloseTo(600, 1);
    expect(host.ownerDocument.documentElement.scrollHeight).toBe(600);
    expect(host.ownerDocument.documentElement.scrollWidth).toBe(width);
  }
});

test("a very long name of a store path does not widen the page", async () => {
  for (const width of [400, 1400]) {
    const main = await layOut(width, "at-path");
    find(main, ".title h2").textContent = "n".repeat(211);
    expect(find(main, ".title").scrollWidth).toBeLessThanOrEqual(box(main, ".detail").width);
  }
});
