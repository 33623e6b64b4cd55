import { css, html, LitElement, type TemplateResult } from "lit";
import { beforeAll, expect, test, vi } from "vitest";
import { VirtualRows } from "../../src/elements/virtual-rows.ts";
import { addElement, find } from "./page.browser.ts";

/** Height in pixels of a row, and of the part of the list that is in sight. */
const ROW = 20.5;
const HEIGHT = 205;

class NumberList extends LitElement {
  static override properties = { count: {} };
  declare count: number;
  readonly rows = new VirtualRows(this);

  static override styles = css`
    [data-scroller] {
      box-sizing: border-box;
      height: ${HEIGHT}px;
      overflow: auto;
      padding-block: 6px;
    }
    [data-row] {
      height: ${ROW}px;
    }
    [role="presentation"] {
      box-sizing: border-box;
    }
  `;

  override render(): TemplateResult {
    this.rows.count = this.count;
    const { first, last } = this.rows;
    return html`<div data-scroller @scroll=${this.rows.scrolled}>
      <div role="presentation" .style=${this.rows.frame}>
        ${Array.from({ length: last - first }, (_, i) => html`<div data-row>${first + i}</div>`)}
      </div>
    </div>`;
  }
}

beforeAll(() => customElements.define("number-list", NumberList));

interface Shown {
  readonly list: NumberList;
  readonly scroller: HTMLElement;
}

async function showList(count: number): Promise<Shown> {
  const list = addElement(Object.assign(new NumberList(), { count }));
  await settled(list);
  const shown = { list, scroller: find(list.renderRoot as ShadowRoot, "[data-scroller]") };
  // Firefox gives a new list the scroll position of the one before.
  await scrollTo(shown, 0);
  return shown;
}

/** Waits until a rendering no longer leads to another one, which has to be soon. */
async function settled(list: NumberList): Promise<void> {
  for (let renderings = 0; !(await list.updateComplete); renderings++) expect(renderings).toBeLessThan(10);
}

const rendered = ({ scroller }: Shown): number[] =>
  [...scroller.querySelectorAll("[data-row]")].map((row) => Number(row.textContent));

/**
 * The rows that are completely in sight, except for a part of a pixel: WebKit scrolls by whole
 * pixels.
 */
function inSight(shown: Shown): number[] {
  const { top, bottom } = shown.scroller.getBoundingClientRect();
  return [...shown.scroller.querySelectorAll("[data-row]")]
    .filter((row) => {
      const box = row.getBoundingClientRect();
      return box.top > top - 1 && box.bottom < bottom + 1;
    })
    .map((row) => Number(row.textContent));
}

async function scrollTo(shown: Shown, top: number): Promise<void> {
  shown.scroller.scrollTop = top;
  shown.scroller.dispatchEvent(new Event("scroll"));
  await settled(shown.list);
}

test("renders the rows in sight and a margin, and the scroll bar has the length of all rows", async () => {
  const shown = await showList(10_000);
  expect(rendered(shown)[0]).toBe(0);
  expect(rendered(shown).length).toBe(HEIGHT / ROW + 12);
  expect(shown.scroller.scrollHeight).toBe(10_000 * ROW + 12);
});

test("a row stays at its place while the list scrolls", async () => {
  const shown = await showList(10_000);
  for (const top of [5000, 100_000, 204_000]) {
    await scrollTo(shown, top);
    const [box] = [...shown.scroller.querySelectorAll("[data-row]")].map((row) => row.getBoundingClientRect());
    const first = rendered(shown)[0] ?? -1;
    expect(box?.top).toBeCloseTo(shown.scroller.getBoundingClientRect().top - top + 6 + first * ROW, 0);
    expect(inSight(shown).length).toBeGreaterThan(8);
    expect(rendered(shown).length).toBeLessThanOrEqual(HEIGHT / ROW + 25);
  }
});

test("the last rows and lists that fit need no margin", async () => {
  const shown = await showList(100);
  await scrollTo(shown, 100_000);
  expect(rendered(shown).at(-1)).toBe(99);
  expect(inSight(shown).at(-1)).toBe(99);
  const short = await showList(3);
  expect(rendered(short)).toEqual([0, 1, 2]);
  expect(rendered(await showList(0))).toEqual([]);
});

test("a list that gets shorter than its scroll position shows its end", async () => {
  const shown = await showList(10_000);
  await scrollTo(shown, 150_000);
  shown.list.count = 15;
  await settled(shown.list);
  await expect.poll(() => inSight(shown).at(-1)).toBe(14);
});

test("reveals a row completely, and scrolls no further than needed", async () => {
  const shown = await showList(1000);
  const reveal = async (index: number): Promise<number> => {
    shown.list.rows.reveal(index);
    await settled(shown.list);
    await expect.poll(() => inSight(shown)).toContain(index);
    return shown.scroller.scrollTop;
  };
  expect(await reveal(5)).toBe(0);
  const below = await reveal(500);
  expect(inSight(shown).at(-1)).toBe(500);
  expect(await reveal(495)).toBe(below);
  await reveal(400);
  expect(inSight(shown)[0]).toBe(400);
  await reveal(999);
  await reveal(0);
});

test("a row that is to be revealed while the list is hidden is revealed when the list is shown", async () => {
  const shown = await showList(1000);
  shown.list.style.display = "none";
  shown.list.rows.reveal(700);
  await settled(shown.list);
  shown.list.style.display = "block";
  await expect.poll(() => inSight(shown)).toContain(700);
});

test("a list that grows renders more rows; a page is one row less than fits", async () => {
  const shown = await showList(1000);
  expect(shown.list.rows.page).toBe(9);
  shown.scroller.style.height = `${HEIGHT * 2}px`;
  await expect.poll(() => rendered(shown).length).toBe((HEIGHT / ROW) * 2 + 12);
  expect(shown.list.rows.page).toBe(19);
});

test("a list out of the page is no longer observed, and works when it comes back", async () => {
  const disconnected = vi.spyOn(ResizeObserver.prototype, "disconnect");
  const shown = await showList(1000);
  shown.list.remove();
  expect(disconnected).toHaveBeenCalledTimes(1);
  disconnected.mockRestore();
  document.body.append(shown.list);
  shown.list.rows.reveal(600);
  await settled(shown.list);
  await expect.poll(() => inSight(shown)).toContain(600);
});
