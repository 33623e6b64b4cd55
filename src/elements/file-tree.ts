import { css, html, LitElement, nothing, type PropertyValues, type TemplateResult } from "lit";
import type { Store } from "../browser/store.ts";
import { compareBytes, equalBytes } from "../bytes.ts";
import type { ListEntry } from "../thread/store-api.ts";
import { describeFailure } from "./failure.ts";
import { showName } from "./file-name.ts";
import { showTarget } from "./link-target.ts";
import { joinPath, ROOT, splitPath } from "./route.ts";
import { plural, showSize } from "./size.ts";
import { theme } from "./theme.ts";
import { VirtualRows } from "./virtual-rows.ts";

interface Branch {
  readonly entry: ListEntry;
  readonly path: Uint8Array;
  readonly label: string;
  readonly parent: Branch | undefined;
  readonly level: number;
  readonly position: number;
  readonly siblings: number;
  expanded: boolean;
  /** Children of the directory; undefined until it is opened for the first time. */
  children: readonly Branch[] | undefined;
  loading: boolean;
  fault: string | undefined;
}

/** Maximum number of levels that open by themselves. */
const AUTO_DEPTH = 16;

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
    roots: { state: true },
    active: { state: true },
    fault: { state: true },
    busy: { state: true },
  };

  declare store: Store | undefined;
  /** Absolute store path whose root is a directory. */
  declare storePath: string | undefined;
  /** Path of the open file within the store path. */
  declare path: Uint8Array;
  declare private roots: readonly Branch[];
  declare private active: Branch | undefined;
  declare private fault: string | undefined;
  declare private busy: boolean;
  #visible: Branch[] = [];
  #generation = 0;
  #typed = "";
  #typedAt = 0;
  readonly #rows = new VirtualRows(this);

  constructor() {
    super();
    this.path = ROOT;
    this.roots = [];
    this.busy = false;
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
    if (changed.has("store") || changed.has("storePath")) void this.#open();
    else if (changed.has("path")) void this.#reveal(this.#generation);
    this.#visible = flatten(this.roots);
  }

  override render(): TemplateResult {
    this.#rows.count = this.#visible.length;
    const shown = this.#visible.slice(this.#rows.first, this.#rows.last);
    const active = this.active ? this.#visible.indexOf(this.active) : -1;
    return html`
      ${this.fault ? html`<p class="say bad" role="alert">${this.fault}</p>` : nothing}
      ${!this.fault && !this.busy && this.roots.length === 0 ? html`<p class="say dim">This directory is empty.</p>` : nothing}
      <div
        class="tree"
        data-scroller
        role="tree"
        tabindex="0"
        aria-label="Files"
        aria-busy=${this.busy ? "true" : "false"}
        aria-activedescendant=${active >= 0 ? `row-${active}` : nothing}
        @scroll=${this.#rows.scrolled}
        @keydown=${this.#key}
        @focus=${() => {
          this.active ??= this.#visible[0];
        }}
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
        ?data-active=${branch === this.active}
        .style=${`--depth:${branch.level - 1}`}
        title=${branch.fault ?? branch.label}
        @click=${() => this.#choose(branch)}
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

  async #open(): Promise<void> {
    const generation = ++this.#generation;
    this.roots = [];
    this.active = undefined;
    this.fault = undefined;
    if (!this.store || this.storePath === undefined) return;
    this.busy = true;
    try {
      const roots = await this.#read(undefined);
      if (generation !== this.#generation) return;
      this.roots = roots;
      await this.#expandOnly(roots);
      if (generation !== this.#generation) return;
      await this.#reveal(generation);
    } catch (error) {
      if (generation === this.#generation) this.fault = describeFailure(error);
    } finally {
      if (generation === this.#generation) this.busy = false;
    }
  }

  /** Expands the directories that lead to `path`. */
  async #reveal(generation: number): Promise<void> {
    let level = this.roots;
    let found: Branch | undefined;
    for (const name of splitPath(this.path)) {
      if (found && !(await this.#expand(found))) break;
      if (generation !== this.#generation) return;
      if (found) level = found.children ?? [];
      const next = level.find((branch) => equalBytes(branch.entry.nameBytes, name));
      if (!next) break;
      found = next;
    }
    if (found && equalBytes(found.path, this.path)) {
      this.active = found;
      if (found.entry.kind === "directory") await this.#expand(found);
    }
    this.#visible = flatten(this.roots);
    if (this.active) this.#rows.reveal(this.#visible.indexOf(this.active));
    this.requestUpdate();
  }

  /** Expands a directory. @returns whether it is expanded and its children are known */
  async #expand(branch: Branch): Promise<boolean> {
    if (branch.entry.kind !== "directory") return false;
    branch.expanded = true;
    this.requestUpdate();
    if (branch.children) return true;
    if (branch.loading) return false;
    branch.loading = true;
    branch.fault = undefined;
    try {
      branch.children = await this.#read(branch);
      await this.#expandOnly(branch.children);
      return true;
    } catch (error) {
      branch.expanded = false;
      branch.fault = describeFailure(error);
      return false;
    } finally {
      branch.loading = false;
      this.requestUpdate();
    }
  }

  /**
   * Expands the only entry of a directory: the reader only passes through a directory like
   * `share/doc`, which holds a single directory.
   */
  async #expandOnly([only, second]: readonly Branch[]): Promise<void> {
    if (only && !second && only.level < AUTO_DEPTH) await this.#expand(only);
  }

  async #read(parent: Branch | undefined): Promise<Branch[]> {
    const { store, storePath } = this;
    if (!store || storePath === undefined) return [];
    const entries: ListEntry[] = [];
    for await (const entry of store.list(storePath, parent?.path ?? "")) entries.push(entry);
    // Directories first, as in file managers; then by bytes, as in Nix.
    entries.sort(
      (a, b) => Number(b.kind === "directory") - Number(a.kind === "directory") || compareBytes(a.nameBytes, b.nameBytes),
    );
    return entries.map((entry, i) => ({
      entry,
      path: parent ? joinPath([parent.path, entry.nameBytes]) : entry.nameBytes,
      label: showName(entry.nameBytes),
      parent,
      level: (parent?.level ?? 0) + 1,
      position: i + 1,
      siblings: entries.length,
      expanded: false,
      children: undefined,
      loading: false,
      fault: undefined,
    }));
  }

  #choose(branch: Branch): void {
    this.active = branch;
    if (branch.entry.kind === "directory") {
      if (branch.expanded) this.#collapse(branch);
      else void this.#expand(branch);
      return;
    }
    const detail = { path: branch.path, entry: branch.entry };
    this.dispatchEvent(new CustomEvent("tvix-open", { detail, bubbles: true, composed: true }));
  }

  #collapse(branch: Branch): void {
    branch.expanded = false;
    this.requestUpdate();
  }

  readonly #key = (event: KeyboardEvent): void => {
    if (event.altKey || event.ctrlKey || event.metaKey || this.#visible.length === 0) return;
    const index = this.active ? this.#visible.indexOf(this.active) : -1;
    const branch = this.#visible[Math.max(0, index)] as Branch;
    switch (event.key) {
      case "ArrowDown":
        this.#move(index + 1);
        break;
      case "ArrowUp":
        this.#move(index - 1);
        break;
      case "PageDown":
        this.#move(index + this.#rows.page);
        break;
      case "PageUp":
        this.#move(index - this.#rows.page);
        break;
      case "Home":
        this.#move(0);
        break;
      case "End":
        this.#move(this.#visible.length - 1);
        break;
      case "ArrowRight":
        if (branch.entry.kind !== "directory") break;
        if (!branch.expanded) void this.#expand(branch);
        else if (branch.children?.length) this.#move(index + 1);
        break;
      case "ArrowLeft":
        if (branch.expanded) this.#collapse(branch);
        else if (branch.parent) this.#move(this.#visible.indexOf(branch.parent));
        break;
      case "Enter":
      case " ":
        this.#choose(branch);
        break;
      case "*":
        for (const sibling of branch.parent?.children ?? this.roots) void this.#expand(sibling);
        break;
      default:
        if (event.key.length !== 1) return;
        this.#type(event.key, index);
    }
    event.preventDefault();
  };

  #move(index: number): void {
    const target = Math.max(0, Math.min(this.#visible.length - 1, index));
    this.active = this.#visible[target];
    this.#rows.reveal(target);
  }

  /**
   * Moves to the next name that starts with the characters that were typed less than a second
   * apart.
   */
  #type(character: string, index: number): void {
    const now = performance.now();
    this.#typed = (now - this.#typedAt > 1000 ? "" : this.#typed) + character.toLowerCase();
    this.#typedAt = now;
    const start = this.#typed.length === 1 ? index + 1 : Math.max(0, index);
    for (let i = 0; i < this.#visible.length; i++) {
      const candidate = (start + i) % this.#visible.length;
      if (!this.#visible[candidate]?.label.toLowerCase().startsWith(this.#typed)) continue;
      this.#move(candidate);
      return;
    }
  }
}

function flatten(roots: readonly Branch[]): Branch[] {
  const visible: Branch[] = [];
  // A stack instead of recursion: a tree may be as deep as a NAR may be nested.
  const stack: Branch[] = [];
  const push = (branches: readonly Branch[]) => {
    for (let i = branches.length - 1; i >= 0; i--) stack.push(branches[i] as Branch);
  };
  push(roots);
  for (let branch = stack.pop(); branch; branch = stack.pop()) {
    visible.push(branch);
    if (branch.expanded && branch.children) push(branch.children);
  }
  return visible;
}
