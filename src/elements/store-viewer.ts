import { html, LitElement, nothing, type PropertyValues, type TemplateResult } from "lit";
import type { OfflineState } from "../browser/offline.ts";
import { importStaticCache } from "../browser/static-cache.ts";
import type { Store } from "../browser/store.ts";
import type { PathInfo } from "../store/path-info.ts";
import type { TvixBinaryCache } from "./binary-cache.ts";
import type { TvixImport } from "./import.ts";
import { downloadNar } from "./path-info.ts";
import { formatRoute, parseRoute, type Route } from "./route.ts";
import { plural, showSize } from "./size.ts";
import { hasLosses, lossWarnings } from "./storage-losses.ts";
import { StoreContents } from "./store-contents.ts";
import { hashOf, nameOf } from "./store-paths.ts";
import type { TvixSync } from "./sync.ts";
import { PATHS_STAY, Task } from "./task.ts";
import { controls, theme } from "./theme.ts";
import { viewerLayout } from "./viewer-layout.ts";

type Tab = "files" | "info";
type Panel = "import" | "sync" | "storage";

const ROOT = new Uint8Array(0);
const NARROW = "(max-width: 48rem)";

/**
 * A complete viewer of a store, made of the other elements. The part of the page's address after
 * `#` tells what it shows.
 *
 * @fires tvix-navigate - the reader went to another place; `detail: { title: string }`, the title
 *   of that place
 * @fires tvix-pulled - after the sample was opened, or paths came from a binary cache or a daemon;
 *   `detail: { paths: number }`, their number
 * @fires tvix-update - the reader asked for the newer version of the page
 */
export class TvixStoreViewer extends LitElement {
  static override properties = {
    store: { attribute: false },
    sample: {},
    daemon: {},
    offline: {},
    fault: {},
    route: { state: true },
    tab: { state: true },
    panel: { state: true },
    busy: { state: true },
    over: { state: true },
    outcome: { state: true },
  };

  declare store: Store | undefined;
  /** Address of a static binary cache that the viewer offers to open if the store is empty. */
  declare sample: string | undefined;
  /** Address of the daemon that the sync panel starts with. */
  declare daemon: string;
  /** Whether the page works without a network. */
  declare offline: OfflineState;
  /** Reason why there is no store, in words for a reader. */
  declare fault: string | undefined;
  declare private route: Route;
  declare private tab: Tab;
  declare private panel: Panel | undefined;
  /** Elements with a running operation, and their panels. */
  declare private busy: ReadonlyMap<EventTarget | null, Panel>;
  declare private over: boolean;
  /** Outcome of a deletion. Shown after it, when the deleted path is no longer shown. */
  declare private outcome: string;
  readonly #contents = new StoreContents(this);
  readonly #sampleTask = new Task(this);
  readonly #task = new Task(this);

  constructor() {
    super();
    this.daemon = "http://localhost:8000";
    this.offline = "no";
    this.route = { path: ROOT };
    this.tab = "files";
    this.busy = new Map();
    this.over = false;
    this.outcome = "";
  }

  static override styles = [theme, controls, viewerLayout];

  override connectedCallback(): void {
    super.connectedCallback();
    addEventListener("hashchange", this.#navigated);
    this.addEventListener("dragover", this.#dragOver);
    this.addEventListener("dragleave", this.#dragLeave);
    this.addEventListener("drop", this.#drop);
    this.#navigated();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    removeEventListener("hashchange", this.#navigated);
  }

  protected override willUpdate(changed: PropertyValues): void {
    if (changed.has("store")) this.#contents.store = this.store;
  }

  override render(): TemplateResult {
    const { storePath } = this.route;
    const { paths, complete } = this.#contents;
    const empty = complete && paths.length === 0 && storePath === undefined;
    return html`
      ${this.#header()}
      <main class=${storePath === undefined ? "at-list" : "at-path"}>
        ${
          this.fault || this.#contents.fault
            ? html`<p class="notice failed wide" role="alert">${this.fault ?? this.#contents.fault}</p>`
            : nothing
        }
        ${
          empty
            ? this.#empty()
            : html`
                <nav aria-label="Store">
                  <tvix-store-paths
                    .paths=${paths}
                    .selected=${storePath}
                    @tvix-select=${(event: CustomEvent<{ storePath: string }>) => this.#go({ storePath: event.detail.storePath, path: ROOT })}
                  ></tvix-store-paths>
                </nav>
                <section class="detail" aria-label="Store path">${this.#detail()}</section>
              `
        }
        ${this.#panel(
          "import",
          "Import",
          html`
            <tvix-import .store=${this.store} @tvix-imported=${this.#imported}></tvix-import>
            <section class="source" aria-labelledby="from-cache">
              <h3 id="from-cache">From a binary cache</h3>
              <tvix-binary-cache .store=${this.store}></tvix-binary-cache>
            </section>
          `,
        )}
        ${this.#panel("sync", "Sync with a daemon", html`<tvix-sync .store=${this.store} .paths=${paths} daemon=${this.daemon}></tvix-sync>`)}
        ${this.#panel(
          "storage",
          "Storage",
          html`<tvix-store-storage .store=${this.store} daemon=${this.daemon} ?paused=${this.panel !== "storage"}></tvix-store-storage>`,
        )}
      </main>
      ${this.over ? html`<div class="overlay" aria-hidden="true"><p>Drop to import</p></div>` : nothing} ${this.#confirmation()}
    `;
  }

  #header(): TemplateResult {
    const { paths, complete } = this.#contents;
    const size = paths.reduce((sum, { narSize }) => sum + narSize, 0);
    return html`
      <header>
        <h1><a href="#/">Nix store</a></h1>
        <span class="dim count">${complete && paths.length ? `${plural(paths.length, "path")}, ${showSize(size)}` : ""}</span>
        <span class="offline" role="status">
          ${
            this.offline === "update"
              ? html`<button type="button" class="plain" @click=${() => this.dispatchEvent(new CustomEvent("tvix-update"))}>
                New version: reload
              </button>`
              : this.offline === "ready"
                ? html`<span class="good" title="This page opens without a network">✓ <span class="word">Available offline</span></span>`
                : nothing
          }
        </span>
        ${this.#panelButton("import", "Import")} ${this.#panelButton("sync", "Sync")}
        ${this.#panelButton("storage", "Storage", hasLosses(this.store))}
      </header>
    `;
  }

  #panelButton(panel: Panel, label: string, warns = false): TemplateResult {
    const open = this.panel === panel;
    return html`<button
      type="button"
      aria-expanded=${open ? "true" : "false"}
      aria-controls="panel-${panel}"
      ?disabled=${!this.store}
      @click=${() => this.#open(open ? undefined : panel)}
    >
      ${label}${warns ? html`<span class="bad" role="img" aria-label="something was lost">!</span>` : nothing}${[...this.busy.values()].includes(panel) ? html`<span class="spinner" role="img" aria-label="under way"></span>` : nothing}
    </button>`;
  }

  /** A panel. It stays in the page when it is closed, so that its operations go on. */
  #panel(panel: Panel, label: string, content: TemplateResult): TemplateResult {
    return html`
      <aside
        id="panel-${panel}"
        aria-label=${label}
        ?hidden=${this.panel !== panel}
        @keydown=${(event: KeyboardEvent) => {
          if (event.key === "Escape") this.#open(undefined);
        }}
        @tvix-task=${(event: CustomEvent<{ running: boolean }>) => {
          const busy = new Map(this.busy);
          if (event.detail.running) busy.set(event.target, panel);
          else busy.delete(event.target);
          this.busy = busy;
        }}
      >
        <div class="panel-head">
          <h2>${label}</h2>
          <button type="button" class="plain" aria-label="Close" @click=${() => this.#open(undefined)}>✕</button>
        </div>
        <div class="panel-body">${content}</div>
      </aside>
    `;
  }

  #empty(): TemplateResult {
    return html`
      <section class="empty" aria-label="Empty store">
        <h2>This store is empty</h2>
        ${this.panel === "storage" ? nothing : lossWarnings(this.store)}
        <p>
          Import a folder, a tar archive, a NAR, or store paths from a binary cache, or pull store paths from a daemon. They are kept in this
          browser and need no network.
        </p>
        <div class="row">
          ${
            this.sample
              ? html`<button type="button" class="primary" ?disabled=${this.#sampleTask.running} @click=${this.#openSample}>
                Open the sample
              </button>`
              : nothing
          }
          <button type="button" @click=${() => this.#open("import")}>Import…</button>
          <button type="button" @click=${() => this.#open("sync")}>Pull from a daemon…</button>
        </div>
        ${this.#sampleTask.render()}
      </section>
    `;
  }

  #detail(): TemplateResult {
    const { storePath } = this.route;
    const { paths, complete } = this.#contents;
    if (this.#sampleTask.running) return html`<div class="say">${this.#sampleTask.render()}</div>`;
    if (storePath === undefined) return html`<p class="say dim none-chosen" role="status">${this.outcome} Choose a store path.</p>`;
    const info = paths.find((candidate) => candidate.storePath === storePath);
    const back = html`<a class="back" href="#/">← Store paths</a>`;
    if (!info && !complete) return html`${back}<p class="say dim">${this.store || !this.fault ? "Reading…" : ""}</p>`;
    if (!info) {
      return html`${back}
        <div class="say stack">
          <p role="alert">This store does not have <code>${storePath}</code>.</p>
          <div class="row">
            <button type="button" @click=${() => this.#offerPull(storePath)}>Pull it from a daemon…</button>
            <button type="button" @click=${() => this.#offerImport(storePath)}>Import it from a binary cache…</button>
          </div>
        </div>`;
    }
    return html`
      ${back}
      <div class="title">
        <div class="names">
          <h2 tabindex="-1">${nameOf(storePath)}</h2>
          <p class="mono dim">/nix/store/${hashOf(storePath)}-${nameOf(storePath)}</p>
        </div>
        <div class="row actions">
          <button type="button" ?disabled=${this.#task.running} @click=${() => this.#download(info)}>Download NAR</button>
          <button type="button" @click=${() => this.#offerPush(storePath)}>Push…</button>
          <button type="button" class="danger" ?disabled=${this.#task.running} @click=${this.#askDelete}>Delete…</button>
        </div>
      </div>
      ${this.#task.state === "idle" ? nothing : html`<div class="say">${this.#task.render()}</div>`}
      <div class="tabs" role="tablist" aria-label="Views" @keydown=${this.#tabKey}>
        ${this.#tabButton("files", "Files")} ${this.#tabButton("info", "Info")}
      </div>
      <div class="tab-panel" role="tabpanel" id="tab-panel" aria-labelledby="tab-${this.tab}">
        ${
          this.tab === "files"
            ? this.#files(info)
            : html`<tvix-path-info hide-download .store=${this.store} .info=${info} .paths=${paths}></tvix-path-info>`
        }
      </div>
    `;
  }

  #files(info: PathInfo): TemplateResult {
    const { path } = this.route;
    const preview = html`<tvix-file-preview .store=${this.store} .storePath=${info.storePath} .path=${path}></tvix-file-preview>`;
    if (info.node.kind !== "directory") return html`<div class="files one">${preview}</div>`;
    return html`
      <div class="files ${path.length ? "at-file" : "at-tree"}">
        <tvix-file-tree
          .store=${this.store}
          .storePath=${info.storePath}
          .path=${path}
          @tvix-open=${(event: CustomEvent<{ path: Uint8Array }>) => this.#go({ storePath: info.storePath, path: event.detail.path })}
        ></tvix-file-tree>
        <div class="preview">
          <a class="back" href=${formatRoute({ storePath: info.storePath, path: ROOT })}>← Files</a>
          ${preview}
        </div>
      </div>
    `;
  }

  #tabButton(tab: Tab, label: string): TemplateResult {
    const selected = this.tab === tab;
    return html`<button
      type="button"
      role="tab"
      id="tab-${tab}"
      aria-selected=${selected ? "true" : "false"}
      aria-controls="tab-panel"
      tabindex=${selected ? "0" : "-1"}
      @click=${() => {
        this.tab = tab;
      }}
    >
      ${label}
    </button>`;
  }

  readonly #tabKey = async (event: KeyboardEvent): Promise<void> => {
    if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
    this.tab = this.tab === "files" ? "info" : "files";
    await this.updateComplete;
    this.renderRoot.querySelector<HTMLElement>(`#tab-${this.tab}`)?.focus();
  };

  #confirmation(): TemplateResult {
    const { storePath } = this.route;
    const base = storePath?.slice(storePath.lastIndexOf("/") + 1);
    const referrers = this.#contents.paths.filter((info) => info.storePath !== storePath && base && info.references.includes(base));
    return html`
      <dialog aria-labelledby="delete-title" @close=${this.#answered}>
        <form method="dialog" class="stack">
          <h2 id="delete-title">Delete ${storePath ? nameOf(storePath) : ""}?</h2>
          <p class="mono">${storePath ?? ""}</p>
          <p>It is deleted from this browser only; daemons that have it keep it.</p>
          ${
            referrers.length
              ? html`<p class="notice failed">${plural(referrers.length, "path")} in this store ${referrers.length === 1 ? "refers" : "refer"} to it.</p>`
              : nothing
          }
          <div class="row end">
            <button value="" autofocus>Keep it</button>
            <button value="delete" class="danger">Delete</button>
          </div>
        </form>
      </dialog>
    `;
  }

  readonly #navigated = (): void => {
    const before = this.route.storePath;
    this.route = parseRoute(location.hash);
    const { storePath, path } = this.route;
    if (storePath !== before) this.#task.clear();
    if (storePath !== undefined) this.outcome = "";
    const narrow = matchMedia(NARROW).matches;
    if (narrow) this.panel = undefined;
    const title = storePath === undefined ? "" : nameOf(storePath);
    if (path.length > 0) this.tab = "files";
    this.dispatchEvent(new CustomEvent("tvix-navigate", { detail: { title } }));
    // On a narrow screen the list disappears, and with it the focus.
    if (narrow && storePath !== undefined && storePath !== before) {
      void this.updateComplete.then(() => this.renderRoot.querySelector<HTMLElement>(".title h2")?.focus());
    }
  };

  #go(route: Route): void {
    location.hash = formatRoute(route);
  }

  #open(panel: Panel | undefined): void {
    const closed = this.panel;
    this.panel = panel;
    void this.updateComplete.then(() => {
      const target = panel ? `#panel-${panel} .panel-head button` : `[aria-controls=panel-${closed}]`;
      this.renderRoot.querySelector<HTMLElement>(target)?.focus();
    });
  }

  #download(info: PathInfo): void {
    if (this.store) void downloadNar(this.store, info, this.#task);
  }

  #offerPush(storePath: string): void {
    this.#open("sync");
    this.renderRoot.querySelector<TvixSync>("tvix-sync")?.offerPush(storePath);
  }

  #offerPull(storePath: string): void {
    this.#open("sync");
    this.renderRoot.querySelector<TvixSync>("tvix-sync")?.offerPull(storePath);
  }

  #offerImport(storePath: string): void {
    this.#open("import");
    void this.updateComplete.then(() => this.renderRoot.querySelector<TvixBinaryCache>("tvix-binary-cache")?.offer(storePath));
  }

  readonly #askDelete = (): void => {
    const dialog = this.renderRoot.querySelector("dialog");
    if (!dialog) return;
    dialog.returnValue = "";
    dialog.showModal();
  };

  readonly #answered = async (event: Event): Promise<void> => {
    const { store } = this;
    const { storePath } = this.route;
    if ((event.target as HTMLDialogElement).returnValue !== "delete" || !store || storePath === undefined) return;
    let freed = 0;
    const deleted = await this.#task.run(
      "Deleting",
      async (options) => {
        await store.delete(storePath);
        // Collect garbage at once: a reader deletes a path to free space.
        const { bytes } = await store.collectGarbage(options);
        freed = bytes;
        return "Deleted.";
      },
      "Cancelled. The store path is deleted; the next garbage collection frees its space.",
    );
    if (!deleted || this.route.storePath !== storePath) return;
    this.outcome = `Deleted ${nameOf(storePath)}: ${showSize(freed)} freed.`;
    this.#go({ path: ROOT });
  };

  readonly #openSample = (): Promise<boolean> =>
    this.#sampleTask.run(
      "Opening the sample",
      async (options) => {
        if (!this.store || !this.sample) return "";
        const imported = await importStaticCache(this.store, this.sample, options);
        this.dispatchEvent(new CustomEvent("tvix-pulled", { detail: { paths: imported.length }, bubbles: true, composed: true }));
        return `Imported ${plural(imported.length, "path")}.`;
      },
      PATHS_STAY,
    );

  readonly #imported = (event: CustomEvent<{ info: PathInfo }>): void => {
    // On a narrow screen the panel covers everything. The reader continues from its link.
    if (!matchMedia(NARROW).matches) this.#go({ storePath: event.detail.info.storePath, path: ROOT });
  };

  readonly #dragOver = (event: DragEvent): void => {
    if (!this.store || !event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    this.over = this.panel !== "import";
  };

  readonly #dragLeave = (event: DragEvent): void => {
    if (!event.relatedTarget) this.over = false;
  };

  readonly #drop = (event: DragEvent): void => {
    this.over = false;
    if (!this.store || !event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    this.panel = "import";
    void this.renderRoot.querySelector<TvixImport>("tvix-import")?.takeDrop(event.dataTransfer);
  };
}
