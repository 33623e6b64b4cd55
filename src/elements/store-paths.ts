import { css, html, LitElement, nothing, type PropertyValues, type TemplateResult } from "lit";
import type { PathInfo } from "../store/path-info.ts";
import { plural, showSize } from "./size.ts";
import { controls, theme } from "./theme.ts";
import { VirtualRows } from "./virtual-rows.ts";

/** The properties of a `PathInfo` that a list shows. */
export type ListedPath = Pick<PathInfo, "storePath" | "narSize">;

/**
 * A list of store paths with a filter. Stays fast with tens of thousands of paths.
 *
 * @fires tvix-select - the reader opened a path; `detail: { storePath }`. Not fired if `multiple`.
 * @fires tvix-choose - the set of chosen paths changed; `detail: { chosen: ReadonlySet<string> }`.
 *   Only fired if `multiple`.
 */
export class TvixStorePaths extends LitElement {
  static override properties = {
    paths: { attribute: false },
    selected: {},
    multiple: { type: Boolean },
    chosen: { attribute: false },
    marks: { attribute: false },
    label: {},
    filter: { state: true },
    active: { state: true },
  };

  declare paths: readonly ListedPath[];
  /** The open store path. */
  declare selected: string | undefined;
  /** Whether the reader can choose several paths. */
  declare multiple: boolean;
  declare chosen: ReadonlySet<string>;
  /** Words to show beside store paths, for example to tell that a path is here already. */
  declare marks: ReadonlyMap<string, string>;
  /** Name of the list for screen readers. */
  declare label: string;
  declare private filter: string;
  /** Index, among the shown paths, of the one that the keyboard acts on. */
  declare private active: number;
  #sorted: readonly ListedPath[] = [];
  #shown: readonly ListedPath[] = [];
  readonly #rows = new VirtualRows(this);

  constructor() {
    super();
    this.paths = [];
    this.multiple = false;
    this.chosen = new Set();
    this.marks = new Map();
    this.label = "Store paths";
    this.filter = "";
    this.active = 0;
  }

  static override styles = [
    theme,
    controls,
    css`
      :host {
        display: flex;
        flex-direction: column;
        min-height: 0;
      }
      .head {
        display: flex;
        align-items: center;
        gap: 0.5rem;
        padding: 0.5rem 0.75rem;
      }
      .head input {
        flex: 1;
        min-width: 0;
      }
      .list {
        flex: 1;
        min-height: 3rem;
        overflow: auto;
        overscroll-behavior: contain;
        border-top: 1px solid var(--line);
      }
      .list:focus {
        outline: none;
      }
      [role="option"] {
        display: flex;
        align-items: center;
        gap: 0.6rem;
        height: var(--row);
        padding: 0 0.75rem;
        cursor: pointer;
        white-space: nowrap;
      }
      [role="option"]:hover {
        background: var(--wash);
      }
      [role="option"][aria-selected="true"] {
        background: var(--accent-wash);
      }
      .list:focus-visible [data-active] {
        box-shadow: inset 0 0 0 2px var(--accent);
      }
      .name {
        flex: 1;
        overflow: hidden;
        text-overflow: ellipsis;
      }
      .hash,
      .size {
        color: var(--dim);
        font-size: 0.75rem;
      }
      .hash {
        font-family: var(--mono);
      }
      .size {
        font-variant-numeric: tabular-nums;
      }
      .mark {
        padding: 0 0.4rem;
        border-radius: 3px;
        background: var(--wash);
        color: var(--dim);
        font-size: 0.75rem;
      }
      .none {
        padding: 0.75rem;
      }
      .box {
        width: 0.9rem;
        height: 0.9rem;
        border: 1px solid var(--dim);
        border-radius: 3px;
        color: var(--accent-ink);
        font-size: 0.7rem;
        line-height: 0.8rem;
        text-align: center;
      }
      [aria-selected="true"] > .box {
        border-color: var(--accent);
        background: var(--accent);
      }
    `,
  ];

  protected override willUpdate(changed: PropertyValues): void {
    if (changed.has("paths")) {
      // Sort by name: the base name starts with a hash, whose order means nothing to a reader.
      this.#sorted = [...this.paths].sort((a, b) => {
        const x = nameOf(a.storePath);
        const y = nameOf(b.storePath);
        return x < y ? -1 : x > y ? 1 : a.storePath < b.storePath ? -1 : 1;
      });
    }
    if (changed.has("paths") || changed.has("filter")) {
      const words = this.filter.toLowerCase().split(/\s+/).filter(Boolean);
      this.#shown = words.length
        ? this.#sorted.filter(({ storePath }) => words.every((word) => storePath.toLowerCase().includes(word)))
        : this.#sorted;
      this.active = Math.max(0, Math.min(this.active, this.#shown.length - 1));
    }
    if (changed.has("selected") && this.selected !== undefined) {
      const index = this.#shown.findIndex(({ storePath }) => storePath === this.selected);
      if (index >= 0) {
        this.active = index;
        this.#rows.reveal(index);
      }
    }
  }

  override render(): TemplateResult {
    this.#rows.count = this.#shown.length;
    const shown = this.#shown.slice(this.#rows.first, this.#rows.last);
    return html`
      <div class="head">
        <input
          type="search"
          aria-label="Filter ${this.label.toLowerCase()}"
          placeholder="Filter by name or hash"
          .value=${this.filter}
          @input=${(event: InputEvent) => {
            this.filter = (event.target as HTMLInputElement).value;
          }}
          @keydown=${this.#filterKey}
        />
        <span class="dim" role="status">${this.#summary()}</span>
      </div>
      <div
        class="list"
        data-scroller
        role="listbox"
        tabindex="0"
        aria-label=${this.label}
        aria-multiselectable=${this.multiple ? "true" : nothing}
        aria-activedescendant=${this.#shown.length ? `row-${this.active}` : nothing}
        @scroll=${this.#rows.scrolled}
        @keydown=${this.#key}
      >
        <div role="presentation" .style=${this.#rows.frame}>
          ${shown.map((path, i) => this.#row(path, this.#rows.first + i))}
        </div>
        ${this.#shown.length === 0 && this.filter ? html`<p class="none dim">Nothing matches “${this.filter}”.</p>` : nothing}
      </div>
    `;
  }

  #row(path: ListedPath, index: number): TemplateResult {
    const { storePath, narSize } = path;
    const chosen = this.multiple ? this.chosen.has(storePath) : storePath === this.selected;
    const mark = this.marks.get(storePath);
    return html`
      <div
        id="row-${index}"
        data-row
        role="option"
        aria-selected=${chosen ? "true" : "false"}
        aria-setsize=${this.#shown.length}
        aria-posinset=${index + 1}
        ?data-active=${index === this.active}
        title=${storePath}
        @click=${() => this.#take(index)}
      >
        ${this.multiple ? html`<span class="box" aria-hidden="true">${chosen ? "✓" : ""}</span>` : nothing}
        <span class="hash" aria-hidden="true">${hashOf(storePath).slice(0, 7)}</span>
        <span class="name">${nameOf(storePath)}</span>
        ${mark ? html`<span class="mark">${mark}</span>` : nothing}
        <span class="size">${showSize(narSize)}</span>
      </div>
    `;
  }

  #summary(): string {
    if (this.multiple && this.chosen.size > 0) return `${this.chosen.size} chosen`;
    if (this.filter) return `${this.#shown.length} of ${this.paths.length}`;
    return plural(this.paths.length, "path");
  }

  #take(index: number): void {
    const path = this.#shown[index];
    if (!path) return;
    this.active = index;
    if (this.multiple) {
      const chosen = new Set(this.chosen);
      if (!chosen.delete(path.storePath)) chosen.add(path.storePath);
      this.chosen = chosen;
      this.dispatchEvent(new CustomEvent("tvix-choose", { detail: { chosen } }));
    } else {
      this.dispatchEvent(new CustomEvent("tvix-select", { detail: { storePath: path.storePath }, bubbles: true, composed: true }));
    }
  }

  readonly #filterKey = (event: KeyboardEvent): void => {
    if (event.key === "ArrowDown") {
      event.preventDefault();
      this.renderRoot.querySelector<HTMLElement>(".list")?.focus();
    } else if (event.key === "Enter" && this.#shown.length === 1) this.#take(0);
  };

  readonly #key = (event: KeyboardEvent): void => {
    const last = this.#shown.length - 1;
    const moves: Record<string, number> = {
      ArrowDown: this.active + 1,
      ArrowUp: this.active - 1,
      PageDown: this.active + this.#rows.page,
      PageUp: this.active - this.#rows.page,
      Home: 0,
      End: last,
    };
    const target = moves[event.key];
    if (target !== undefined && last >= 0) {
      this.active = Math.max(0, Math.min(last, target));
      this.#rows.reveal(this.active);
    } else if (event.key === "Enter" || event.key === " ") {
      this.#take(this.active);
    } else if (event.key === "a" && (event.ctrlKey || event.metaKey) && this.multiple) {
      const all = this.#shown.map(({ storePath }) => storePath);
      this.chosen = new Set(all.every((path) => this.chosen.has(path)) ? [] : all);
      this.dispatchEvent(new CustomEvent("tvix-choose", { detail: { chosen: this.chosen } }));
    } else return;
    event.preventDefault();
  };
}

function baseOf(storePath: string): string {
  return storePath.slice(storePath.lastIndexOf("/") + 1);
}

/** Hash part of a store path. */
export function hashOf(storePath: string): string {
  return baseOf(storePath).slice(0, 32);
}

/** Name of a store path, after its hash part. */
export function nameOf(storePath: string): string {
  return baseOf(storePath).slice(33);
}
