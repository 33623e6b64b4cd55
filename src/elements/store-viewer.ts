import { html, LitElement, nothing, type PropertyValues, type TemplateResult } from "lit";
import type { OfflineState } from "../browser/offline.ts";
import { importStaticCache } from "../browser/static-cache.ts";
import type { Store } from "../browser/store.ts";
import type { PathInfo } from "../store/path-info.ts";
import type { TvixBinaryCache } from "./binary-cache.ts";
import type { TvixImport } from "./import.ts";
import { PanelSet } from "./panel-set.ts";
import { PathDeletion } from "./path-deletion.ts";
import { downloadNar } from "./path-info.ts";
import { PathTabs } from "./path-tabs.ts";
import { PATH_VIEWS } from "./path-views/registry.ts";
import { formatRoute, parseRoute, ROOT, type Route } from "./route.ts";
import { plural, showSize } from "./size.ts";
import { lossWarnings } from "./storage-losses.ts";
import { StoreContents } from "./store-contents.ts";
import { importPanel } from "./store-panels/import.ts";
import { storagePanel } from "./store-panels/storage.ts";
import { syncPanel } from "./store-panels/sync.ts";
import { hashOf, nameOf } from "./store-paths.ts";
import type { TvixSync } from "./sync.ts";
import { PATHS_STAY, Task } from "./task.ts";
import { controls, theme } from "./theme.ts";
import { viewerLayout } from "./viewer-layout.ts";

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
  declare private over: boolean;
  /** Outcome of a deletion. Shown after it, when the deleted path is no longer shown. */
  declare private outcome: string;
  readonly #contents = new StoreContents(this);
  readonly #sampleTask = new Task(this);
  readonly #task = new Task(this);
  readonly #tabs = new PathTabs(this);
  readonly #panels = new PanelSet(this);
  readonly #deletion = new PathDeletion(this, this.#task, (storePath, outcome) => this.#deleted(storePath, outcome));

  constructor() {
    super();
    this.daemon = "http://localhost:8000";
    this.offline = "no";
    this.route = { path: ROOT };
    this.over = false;
    this.outcome = "";
  }

  static override styles = [theme, controls, viewerLayout, ...PATH_VIEWS.flatMap(({ styles }) => styles ?? [])];

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
      <main class=${storePath === undefined ? "at-list" : "at-path"} @tvix-imported=${this.#imported}>
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
        ${this.#panels.renderPanels({ store: this.store, paths, daemon: this.daemon })}
      </main>
      ${this.over ? html`<div class="overlay" aria-hidden="true"><p>Drop to import</p></div>` : nothing} ${this.#deletion.render(storePath, paths)}
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
        ${this.#panels.renderButtons(this.store)}
      </header>
    `;
  }

  #empty(): TemplateResult {
    return html`
      <section class="empty" aria-label="Empty store">
        <h2>This store is empty</h2>
        ${this.#panels.shown === storagePanel ? nothing : lossWarnings(this.store)}
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
          <button type="button" @click=${() => this.#panels.open(importPanel)}>Import…</button>
          <button type="button" @click=${() => this.#panels.open(syncPanel)}>Pull from a daemon…</button>
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
          <button type="button" class="danger" ?disabled=${this.#task.running} @click=${this.#deletion.ask}>Delete…</button>
        </div>
      </div>
      ${this.#task.state === "idle" ? nothing : html`<div class="say">${this.#task.render()}</div>`}
      ${this.#tabs.render({ store: this.store, info, path: this.route.path, paths, go: (route) => this.#go(route) })}
    `;
  }

  readonly #navigated = (): void => {
    const before = this.route.storePath;
    this.route = parseRoute(location.hash);
    const { storePath, path } = this.route;
    if (storePath !== before) this.#task.clear();
    if (storePath !== undefined) this.outcome = "";
    const narrow = matchMedia(NARROW).matches;
    if (narrow) this.#panels.show(undefined);
    const title = storePath === undefined ? "" : nameOf(storePath);
    if (path.length > 0) this.#tabs.chooseFiles();
    this.dispatchEvent(new CustomEvent("tvix-navigate", { detail: { title } }));
    // On a narrow screen the list disappears, and with it the focus.
    if (narrow && storePath !== undefined && storePath !== before) {
      void this.updateComplete.then(() => this.renderRoot.querySelector<HTMLElement>(".title h2")?.focus());
    }
  };

  #go(route: Route): void {
    location.hash = formatRoute(route);
  }

  #download(info: PathInfo): void {
    if (this.store) void downloadNar(this.store, info, this.#task);
  }

  #offerPush(storePath: string): void {
    this.#panels.open(syncPanel);
    this.renderRoot.querySelector<TvixSync>("tvix-sync")?.offerPush(storePath);
  }

  #offerPull(storePath: string): void {
    this.#panels.open(syncPanel);
    this.renderRoot.querySelector<TvixSync>("tvix-sync")?.offerPull(storePath);
  }

  #offerImport(storePath: string): void {
    this.#panels.open(importPanel);
    void this.updateComplete.then(() => this.renderRoot.querySelector<TvixBinaryCache>("tvix-binary-cache")?.offer(storePath));
  }

  #deleted(storePath: string, outcome: string): void {
    if (this.route.storePath !== storePath) return;
    this.outcome = outcome;
    this.#go({ path: ROOT });
  }

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
    this.over = this.#panels.shown !== importPanel;
  };

  readonly #dragLeave = (event: DragEvent): void => {
    if (!event.relatedTarget) this.over = false;
  };

  readonly #drop = (event: DragEvent): void => {
    this.over = false;
    if (!this.store || !event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    this.#panels.show(importPanel);
    void this.renderRoot.querySelector<TvixImport>("tvix-import")?.takeDrop(event.dataTransfer);
  };
}
