import type { ReactiveController, ReactiveControllerHost } from "lit";

/** Number of rows that are rendered beyond each edge, so that fast scrolling shows no blanks. */
const MARGIN = 12;

/**
 * Decides which of many rows to render; all rows have the same height. The host renders three
 * nested parts: a scrolling element with `data-scroller` and with `scrolled` as its `scroll`
 * handler, an element with `frame` as its style, and the rows from `first` to `last` (exclusive),
 * with `data-row`.
 */
export class VirtualRows implements ReactiveController {
  first = 0;
  last = 0;
  readonly #host: ReactiveControllerHost & HTMLElement;
  #scroller: HTMLElement | undefined;
  #observer: ResizeObserver | undefined;
  #count = 0;
  #rowHeight = 28;
  #pending: number | undefined;

  constructor(host: ReactiveControllerHost & HTMLElement) {
    this.#host = host;
    host.addController(this);
  }

  /** Number of rows. Set it while rendering, before reading the other properties. */
  set count(count: number) {
    this.#count = count;
    this.#measure();
  }

  /** Style for `.style`: keeps the rows in place and the scroll bar at its length. */
  get frame(): string {
    return `padding-top:${this.first * this.#rowHeight}px;height:${this.#count * this.#rowHeight}px`;
  }

  /** Number of rows by which Page Up and Page Down move: one screen. */
  get page(): number {
    return Math.max(1, Math.floor((this.#scroller?.clientHeight ?? 0) / this.#rowHeight) - 1);
  }

  readonly scrolled = (): void => {
    if (this.#measure()) this.#host.requestUpdate();
  };

  /**
   * Scrolls just far enough to show row `index`, after the next rendering in which the list is
   * visible.
   */
  reveal(index: number): void {
    this.#pending = index;
    this.#host.requestUpdate();
  }

  hostUpdated(): void {
    const scroller = this.#host.shadowRoot?.querySelector<HTMLElement>("[data-scroller]") ?? undefined;
    if (scroller !== this.#scroller) {
      this.#observer?.disconnect();
      this.#scroller = scroller;
      if (scroller) {
        this.#observer = new ResizeObserver(this.scrolled);
        this.#observer.observe(scroller);
      }
    }
    if (this.#pending !== undefined && scroller && scroller.clientHeight > 0) {
      const top = this.#pending * this.#rowHeight;
      const bottom = Number.parseFloat(getComputedStyle(scroller).paddingTop) + top + this.#rowHeight;
      this.#pending = undefined;
      if (top < scroller.scrollTop) scroller.scrollTop = top;
      else if (bottom > scroller.scrollTop + scroller.clientHeight) scroller.scrollTop = bottom - scroller.clientHeight;
    }
    this.scrolled();
  }

  hostDisconnected(): void {
    this.#observer?.disconnect();
    this.#scroller = undefined;
  }

  /**
   * Measures the rows and their scrolling element.
   *
   * @returns whether the range or the height of a row changed
   */
  #measure(): boolean {
    const row = this.#scroller?.querySelector<HTMLElement>("[data-row]");
    // Not `offsetHeight`: fonts and zoom can make rows a fractional number of pixels high.
    const rowHeight = row?.getBoundingClientRect().height || this.#rowHeight;
    const height = this.#scroller?.clientHeight || 600;
    const top = this.#scroller?.scrollTop ?? 0;
    const first = Math.max(0, Math.min(this.#count, Math.floor(top / rowHeight)) - MARGIN);
    const last = Math.min(this.#count, Math.ceil((top + height) / rowHeight) + MARGIN);
    const changed = first !== this.first || last !== this.last || rowHeight !== this.#rowHeight;
    this.first = first;
    this.last = last;
    this.#rowHeight = rowHeight;
    return changed;
  }
}
