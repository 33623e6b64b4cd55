import { css, html, LitElement, nothing, type PropertyValues, type TemplateResult } from "lit";
import type { Store } from "../browser/store.ts";
import type { StoreFile } from "../browser/store-file.ts";
import { equalBytes } from "../bytes.ts";
import { StoreError } from "../error.ts";
import type { ListEntry } from "../store/list-entry.ts";
import { describeFailure } from "./failure.ts";
import { downloadName, showName, showText } from "./file-name.ts";
import { type FileFacts, type FileView, HEAD_LENGTH, type OpenFileView } from "./file-views/file-view.ts";
import { acceptingViews, FILE_VIEWS, offeredViews } from "./file-views/registry.ts";
import { linkTarget, showTarget } from "./link-target.ts";
import { formatRoute, ROOT, splitPath } from "./route.ts";
import { saveStream } from "./save.ts";
import { showSize } from "./size.ts";
import { NOT_SAVED, Task } from "./task.ts";
import { controls, theme } from "./theme.ts";

/** The file that is shown. */
interface Preview {
  readonly file: StoreFile;
  readonly facts: FileFacts;
  readonly accepting: readonly FileView[];
  readonly offered: readonly FileView[];
  /** The views that the reader has seen. */
  readonly open: Map<FileView, OpenFileView>;
}

/**
 * Shows one file of a store path in one of the views of `file-views`, for example as an image, as
 * text, or as bytes. Nothing in the file runs: only `<img>` shows images, and all other content is
 * put into the page as text.
 */
export class TvixFilePreview extends LitElement {
  static override properties = {
    store: { attribute: false },
    storePath: { attribute: "store-path" },
    path: { attribute: false },
    entry: { state: true },
    preview: { state: true },
    view: { state: true },
    fault: { state: true },
  };

  declare store: Store | undefined;
  declare storePath: string | undefined;
  /** Path of the file within the store path; empty for its root. */
  declare path: Uint8Array;
  declare private entry: Found | undefined;
  declare private preview: Preview | undefined;
  declare private view: FileView | undefined;
  declare private fault: string | undefined;
  #generation = 0;
  readonly #task = new Task(this);

  constructor() {
    super();
    this.path = ROOT;
  }

  static override styles = [
    theme,
    controls,
    css`
      :host {
        display: flex;
        flex-direction: column;
        min-width: 0;
        min-height: 0;
      }
      .bar {
        display: flex;
        flex-wrap: wrap;
        align-items: center;
        gap: 0.35rem 0.75rem;
        padding: 0.4rem 0.75rem;
        border-bottom: 1px solid var(--line);
      }
      .bar h3 {
        flex: 1 1 8rem;
        min-width: 0;
        font: 600 0.8125rem var(--mono);
        overflow-wrap: anywhere;
        unicode-bidi: isolate;
      }
      .body {
        flex: 1;
        min-height: 0;
        overflow: auto;
        overscroll-behavior: contain;
      }
      .say {
        padding: 0.75rem;
        overflow-wrap: anywhere;
      }
      .foot {
        display: flex;
        flex-wrap: wrap;
        align-items: center;
        gap: 0.5rem;
        padding: 0.4rem 0.75rem;
        border-top: 1px solid var(--line);
      }
      .foot:empty {
        display: none;
      }
    `,
    ...FILE_VIEWS.map(({ styles }) => styles),
  ];

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#drop();
  }

  protected override willUpdate(changed: PropertyValues): void {
    if (changed.has("store") || changed.has("storePath") || changed.has("path")) void this.#open();
  }

  override render(): TemplateResult | typeof nothing {
    if (this.storePath === undefined) return nothing;
    const { preview, entry } = this;
    if (entry?.kind === "directory" && this.path.length === 0) return html`<p class="say dim">Choose a file.</p>`;
    const name = showName(this.#name());
    const viewClass = this.view ? `view-${this.view.name}` : "";
    return html`
      <div class="bar">
        <h3>${name}${entry?.kind === "file" && entry.executable ? html` <span class="good" title="Executable">x</span>` : nothing}</h3>
        ${preview ? html`<span class="dim">${showSize(preview.facts.size)}</span>` : nothing}
        ${preview ? this.#views(preview) : nothing}
        ${preview ? html`<button type="button" ?disabled=${this.#task.running} @click=${this.#download} aria-label="Download file">Download</button>` : nothing}
      </div>
      ${this.#task.state === "idle" || this.#task.state === "done" ? nothing : html`<div class="say">${this.#task.render()}</div>`}
      <div class="body ${viewClass}" tabindex="0" role="region" aria-label="Content of ${name}">${this.#body()}</div>
      <div class="foot ${viewClass}">${this.#foot()}</div>
    `;
  }

  #views(preview: Preview): TemplateResult {
    return html`
      <span class="group" role="group" aria-label="Show as">
        ${preview.offered.map(
          (
            view,
          ) => html`<button type="button" aria-pressed=${view === this.view ? "true" : "false"} @click=${() => this.#show(view)}>
            ${view.label}
          </button>`,
        )}
      </span>
    `;
  }

  #body(): TemplateResult | typeof nothing {
    const { preview, entry } = this;
    if (this.fault) return html`<p class="say bad" role="alert">${this.fault}</p>`;
    if (entry?.kind === "directory") return html`<p class="say dim">A directory. Choose a file in the tree.</p>`;
    if (entry?.kind === "symlink") return this.#link(entry);
    if (preview?.facts.size === 0) return html`<p class="say dim">This file is empty.</p>`;
    return this.#openView?.content() ?? html`<p class="say dim">Reading…</p>`;
  }

  #link(entry: Found): TemplateResult {
    const target = this.storePath === undefined ? undefined : linkTarget(this.storePath, this.path, entry);
    const shown = html`<code>${showTarget(entry)}</code>`;
    return html`<p class="say">A symbolic link to ${target ? html`<a href=${formatRoute(target)}>${shown}</a>` : shown}</p>`;
  }

  #foot(): TemplateResult | typeof nothing {
    if (this.fault || this.preview?.facts.size === 0) return nothing;
    return this.#openView?.controls?.() ?? nothing;
  }

  get #openView(): OpenFileView | undefined {
    return this.view && this.preview?.open.get(this.view);
  }

  #name(): Uint8Array {
    const last = splitPath(this.path).at(-1);
    return last ?? new TextEncoder().encode(this.storePath?.slice(this.storePath.lastIndexOf("/") + 34) ?? "");
  }

  #drop(): void {
    this.#generation += 1;
    for (const view of this.preview?.open.values() ?? []) view.close?.();
    this.preview = undefined;
  }

  async #open(): Promise<void> {
    this.#drop();
    const generation = this.#generation;
    const { store, storePath, path } = this;
    this.entry = undefined;
    this.fault = undefined;
    this.view = undefined;
    this.#task.clear();
    if (!store || storePath === undefined) return;
    try {
      const entry = await findEntry(store, storePath, path);
      if (generation !== this.#generation) return;
      if (entry && entry.kind !== "file") {
        this.entry = entry;
        return;
      }
      const file = await store.file(storePath, path);
      if (generation !== this.#generation) return;
      if (!file) throw new StoreError("not-found", `there is no ${showName(path)} in ${showText(storePath)}`);
      const read = async (start: number, end: number) => new Uint8Array(await file.slice(start, end).arrayBuffer());
      const head = await read(0, HEAD_LENGTH);
      if (generation !== this.#generation) return;
      const facts = { storePath, path, name: this.#name(), size: file.size, head, read };
      const accepting = acceptingViews(facts);
      this.entry = entry;
      this.preview = { file, facts, accepting, offered: offeredViews(accepting), open: new Map() };
      this.#show(accepting[0]);
    } catch (error) {
      if (generation === this.#generation) this.fault = describeFailure(error);
    }
  }

  #show(view: FileView | undefined): void {
    const { preview } = this;
    if (!preview || !view) return;
    this.view = view;
    if (!preview.open.has(view)) preview.open.set(view, this.#openIn(view, preview));
  }

  #openIn(view: FileView, preview: Preview): OpenFileView {
    return view.open(preview.facts, {
      load: async (load) => {
        try {
          await load();
        } catch (error) {
          if (this.preview === preview) this.fault = describeFailure(error);
        }
        this.requestUpdate();
      },
      giveUp: () => {
        if (this.preview !== preview || this.view !== view) return;
        this.#show(preview.accepting.find((next) => FILE_VIEWS.indexOf(next) > FILE_VIEWS.indexOf(view)));
      },
    });
  }

  readonly #download = (): void => {
    const file = this.preview?.file;
    if (!file) return;
    void this.#task.run(
      "Saving the file",
      async (options) => {
        await saveStream(downloadName(this.#name()), file.size, () => file.stream(), options);
        return "Saved.";
      },
      NOT_SAVED,
    );
  };
}

type Found = Pick<ListEntry, "kind" | "executable" | "targetBytes">;

async function findEntry(store: Store, storePath: string, path: Uint8Array): Promise<Found | undefined> {
  const name = splitPath(path).at(-1);
  if (!name) {
    const root = (await store.pathInfo(storePath))?.node;
    if (root?.kind === "symlink") return { kind: root.kind, executable: false, targetBytes: root.target };
    return root && { kind: root.kind, executable: root.kind === "file" && root.executable };
  }
  const parent = path.subarray(0, Math.max(0, path.length - name.length - 1));
  for await (const entry of store.list(storePath, parent)) if (equalBytes(entry.nameBytes, name)) return entry;
  return undefined;
}
