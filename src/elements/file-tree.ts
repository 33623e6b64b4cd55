import { css, html, LitElement, nothing, type PropertyValues, type TemplateResult } from "lit";
import type { Store } from "../browser/store.ts";
import { equalBytes } from "../bytes.ts";
import { type Branch, FileTreeModel } from "./file-tree-model.ts";
import { showTarget } from "./link-target.ts";
import { ROOT } from "./route.ts";
import { plural, showSize } from "./size.ts";
import { theme } from "./theme.ts";
import { VirtualRows } from "./virtual-rows.ts";

/**
 * Shows the files of one store path as a tree, and reads a directory when it is opened. The keys
 * are those of the WAI-ARIA tree pattern.
 *
 * @fires tvix-open - a file or link was chosen; `detail: { path: Uint8Array, entry: ListEntry }`
 */
export class TvixFileTree extends LitElement {
  static override properties = {
    store: { attribute: false },
    storePath: { attribute: "store-path" },
    path: { attribute: false },
  };

  declare store: Store | undefined;
  /** Absolute store path whose root is a directory. */
  declare storePath: string | undefined;
  /** Path of the open file within the store path. */
  declare path: Uint8Array;
  #model: FileTreeModel | undefined;
  readonly #rows = new VirtualRows(this);

  constructor() {
    super();
    this.path = ROOT;
  }

  static override styles = [
    theme,
    css`
      :host {
        display: flex;
        flex-direction: column;
        min-height: 0;
      }
      .tree {
        flex: 1;
        min-height: 0;
        overflow: auto;
        overscroll-behavior: contain;
        padding-block: 0.25rem;
      }
      .tree:focus {
        outline: none;
      }
      [role="treeitem"] {
        display: flex;
        align-items: center;
        gap: 0.45rem;
        height: var(--row);
        padding-inline: calc(0.6rem + var(--depth, 0) * 1.1rem) 0.75rem;
        cursor: pointer;
        white-space: nowrap;
      }
      [role="treeitem"]:hover {
        background: var(--wash);
      }
      [role="treeitem"][aria-selected="true"] {
        background: var(--accent-wash);
      }
      .tree:focus-visible [data-active] {
        box-shadow: inset 0 0 0 2px var(--accent);
      }
      .twist {
        flex: none;
        width: 0.8rem;
        color: var(--dim);
        font-size: 0.7rem;
        text-align: center;
      }
      .twist > svg {
        display: block;
        width: 0.7rem;
        height: 0.7rem;
        margin: auto;
        fill: none;
        stroke: currentcolor;
        stroke-width: 1.8;
        stroke-linecap: round;
        stroke-linejoin: round;
      }
      [aria-expanded="true"] > .twist > svg {
        transform: rotate(90deg);
      }
      .name {
        overflow: hidden;
        text-overflow: ellipsis;
        font-family: var(--mono);
        font-size: 0.8125rem;
        unicode-bidi: isolate;
      }
      [data-kind="directory"] > .name {
        color: var(--accent);
      }
      .target {
        /* Shrinks long before the name does. */
        flex: 0 1000 auto;
        overflow: hidden;
        text-overflow: ellipsis;
        color: var(--dim);
        font-family: var(--mono);
        font-size: 0.75rem;
      }
      .mark {
        flex: none;
        color: var(--good);
        font-family: var(--mono);
        font-size: 0.75rem;
      }
      .size {
        flex: none;
        margin-inline-start: auto;
        padding-inline-start: 0.5rem;
        color: var(--dim);
        font-size: 0.75rem;
        font-variant-numeric: tabular-nums;
      }
      .say {
        padding: 0.6rem 0.75rem;
      }
    `,
  ];

  protected override willUpdate(changed: PropertyValues): void {
    if (changed.has("store") || changed.has("storePath")) this.#open();
    else if (changed.has("path")) void this.#model?.reveal(this.path);
  }

  override render(): TemplateResult {
    const { fault, busy = false, visible = [], activeIndex = -1 } = this.#model ?? {};
    this.#rows.count = visible.length;
    const shown = visible.slice(this.#rows.first, this.#rows.last);
    return html`
      ${fault ? html`<p class="say bad" role="alert">${fault}</p>` : nothing}
      ${!fault && !busy && visible.length === 0 ? html`<p class="say dim">This directory is empty.</p>` : nothing}
      <div
        class="tree"
        data-scroller
        role="tree"
        tabindex="0"
        aria-label="Files"
        aria-busy=${busy ? "true" : "false"}
        aria-activedescendant=${activeIndex >= 0 ? `row-${activeIndex}` : nothing}
        @scroll=${this.#rows.scrolled}
        @keydown=${this.#key}
        @focus=${() => this.#model?.enter()}
      >
        <div role="presentation" .style=${this.#rows.frame}>${shown.map((branch, i) => this.#row(branch, this.#rows.first + i))}</div>
      </div>
    `;
  }

  #row(branch: Branch, index: number): TemplateResult {
    const { entry } = branch;
    const directory = entry.kind === "directory";
    return html`
      <div
        id="row-${index}"
        data-row
        data-kind=${entry.kind}
        role="treeitem"
        aria-level=${branch.level}
        aria-setsize=${branch.siblings}
        aria-posinset=${branch.position}
        aria-expanded=${directory ? (branch.expanded ? "true" : "false") : nothing}
        aria-selected=${equalBytes(branch.path, this.path) ? "true" : "false"}
        ?data-active=${branch === this.#model?.active}
        .style=${`--depth:${branch.level - 1}`}
        title=${branch.fault ?? branch.label}
        @click=${() => this.#model?.choose(branch)}
      >
        <span class="twist" aria-hidden="true">
          ${directory ? html`<svg viewBox="0 0 10 10"><path d="M3 1.5 7 5 3 8.5" /></svg>` : nothing}
        </span>
        <span class="name">${branch.label}</span>
        ${
          entry.kind === "symlink"
            ? html`<span class="target"><span aria-hidden="true">→</span><span class="visually-hidden">links to</span> ${showTarget(entry)}</span>`
            : nothing
        }
        ${entry.kind === "file" && entry.executable ? html`<span class="mark" title="Executable"><span aria-hidden="true">x</span><span class="visually-hidden">executable</span></span>` : nothing}
        ${branch.fault ? html`<span class="bad">${branch.fault}</span>` : nothing}
        ${branch.loading ? html`<span class="dim">reading…</span>` : nothing}
        ${entry.kind === "file" ? html`<span class="size">${showSize(entry.size ?? 0)}</span>` : nothing}
        ${directory && branch.children ? html`<span class="size">${plural(branch.children.length, "entry", "entries")}</span>` : nothing}
      </div>
    `;
  }

  #open(): void {
    const { store, storePath } = this;
    this.#model?.close();
    this.#model = undefined;
    if (!store || storePath === undefined) return;
    this.#model = new FileTreeModel({
      read: (path) => store.list(storePath, path),
      changed: () => this.requestUpdate(),
      reveal: (index) => this.#rows.reveal(index),
      chosen: ({ path, entry }) =>
        this.dispatchEvent(new CustomEvent("tvix-open", { detail: { path, entry }, bubbles: true, composed: true })),
    });
    void this.#model.open(this.path);
  }

  readonly #key = (event: KeyboardEvent): void => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (this.#model?.press(event.key, this.#rows.page)) event.preventDefault();
  };
}
