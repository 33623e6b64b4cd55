import type { ReactiveController, ReactiveControllerHost } from "lit";

/** Rows rendered beyond each edge, so that a fast scroll does not show blanks. */
const MARGIN = 12;

/**
 * Which of many rows of one height are worth rendering. The host renders its scrolling element with `scrolled` as the handler of
 * `scroll`, in it one element with `frame` as its style, in that the rows `first` to `last` (exclusive).
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

  /** To be called while rendering, before the rest is read. */
  set count(count: number) {
    this.#count = count;
    this.#measure();
  }

  /** For `.style`: keeps the rows at their place and the scroll bar at its length. */
  get frame(): string {
    return `padding-top:${this.first * this.#rowHeight}px;height:${this.#count * this.#rowHeight}px`;
  }

  /** Rows on one screen: what Page Up and Page Down move by. */
  get page(): number {
    return Math.max(1, Math.floor((this.#scroller?.clientHeight ?? 0) / this.#rowHeight) - 1);
  }

  readonly scrolled = (): void => {
    if (this.#measure()) this.#host.requestUpdate();
  };

  /** Scrolls as little as shows row `index`; after the next rendering if that one brings it about. */
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
      this.#pending = undefined;
      if (top < scroller.scrollTop) scroller.scrollTop = top;
      else if (top + this.#rowHeight > scroller.scrollTop + scroller.clientHeight)
        scroller.scrollTop = top + this.#rowHeight - scroller.clientHeight;
    }
    this.scrolled();
  }

  hostDisconnected(): void {
    this.#observer?.disconnect();
    this.#scroller = undefined;
  }

  /** Whether the range changed. */
  #measure(): boolean {
    const row = this.#scroller?.querySelector<HTMLElement>("[data-row]");
    // Not offsetHeight: rows are as high as a font or a zoom has it, which need not be whole pixels.
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
