import { html, LitElement, type TemplateResult } from "lit";
import { beforeAll, expect, test } from "vitest";
import { controls, theme } from "../../src/elements/theme.ts";
import { addElement, find } from "./page.browser.ts";

class Themed extends LitElement {
  static override styles = [theme, controls];

  override render(): TemplateResult {
    return html`
      <p>Text <a href="#/">link</a> <span class="bad">bad</span> <code class="mono">code</code></p>
      <p class="hint" hidden>hidden</p>
      <div class="row" hidden>hidden too</div>
      <span class="visually-hidden">spoken</span>
      <button class="primary">Go</button>
    `;
  }
}

beforeAll(() => customElements.define("themed-sample", Themed));

async function show(style: string): Promise<{ host: Themed; root: ShadowRoot }> {
  const page = addElement(document.createElement("div"));
  page.style.cssText = style;
  const host = new Themed();
  page.append(host);
  await host.updateComplete;
  return { host, root: host.renderRoot as ShadowRoot };
}

/** Contrast of two opaque colours by WCAG 2. */
function contrast(a: string, b: string): number {
  const luminance = (color: string): number => {
    const channels = (color.match(/[\d.]+/g) ?? []).slice(0, 3).map((text) => Number(text) / 255);
    const [red = 0, green = 0, blue = 0] = channels.map((value) =>
      value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4,
    );
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const [dark = 0, light = 0] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (light + 0.05) / (dark + 0.05);
}

/** The colour that a custom property of the element stands for. */
function colorOf(root: ShadowRoot, property: string): string {
  const probe = document.createElement("i");
  probe.style.color = `var(${property})`;
  root.append(probe);
  return getComputedStyle(probe).color;
}

test.each(["light", "dark"])("text has enough contrast: %s", async (scheme) => {
  const { root } = await show(`color-scheme: ${scheme}`);
  for (const [text, paper] of [
    ["--ink", "--paper"],
    ["--ink", "--wash"],
    ["--dim", "--paper"],
    ["--dim", "--wash"],
    ["--accent", "--paper"],
    ["--accent-ink", "--accent"],
    ["--ink", "--accent-wash"],
    ["--good", "--paper"],
    ["--bad", "--paper"],
    ["--ink", "--bad-wash"],
  ] as const)
    expect(contrast(colorOf(root, text), colorOf(root, paper)), `${text} on ${paper}`).toBeGreaterThanOrEqual(4.5);
});

test("a page restyles the elements by its own properties and its colour scheme", async () => {
  const { host, root } = await show(
    "color-scheme: light; --tvix-ink: rgb(1, 2, 3); --tvix-accent: rgb(4, 5, 6); --tvix-mono: serif",
  );
  expect(getComputedStyle(host).color).toBe("rgb(1, 2, 3)");
  expect(getComputedStyle(find(root, "a")).color).toBe("rgb(4, 5, 6)");
  expect(getComputedStyle(find(root, "code")).fontFamily).toBe("serif");
  expect(getComputedStyle(find(root, "button")).backgroundColor).toBe("rgb(4, 5, 6)");
  const dark = await show("color-scheme: dark");
  expect(colorOf(dark.root, "--paper")).not.toBe(colorOf(root, "--paper"));
});

test("`hidden` hides, whatever else a style says, and the host too", async () => {
  const { host, root } = await show("");
  for (const element of root.querySelectorAll("[hidden]")) expect(getComputedStyle(element).display).toBe("none");
  expect(getComputedStyle(host).display).toBe("block");
  host.hidden = true;
  expect(getComputedStyle(host).display).toBe("none");
});

test("text for screen readers takes no space, but is rendered", async () => {
  const { root } = await show("");
  const spoken = find(root, ".visually-hidden");
  const { width, height } = spoken.getBoundingClientRect();
  expect([width <= 1, height <= 1, getComputedStyle(spoken).display !== "none"]).toEqual([true, true, true]);
  expect(getComputedStyle(spoken).position).toBe("absolute");
});
