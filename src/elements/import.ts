import { css, html, LitElement, nothing, type TemplateResult } from "lit";
import { droppedItems } from "../browser/dropped.ts";
import type { Store } from "../browser/store.ts";
import { describeFailure } from "./failure.ts";
import { showText } from "./file-name.ts";
import { canPickDirectory, pickDirectory } from "./file-picker.ts";
import {
  ARCHIVE_KINDS,
  type ArchiveKind,
  describeNotTold,
  describeSource,
  detectArchive,
  type Imported,
  type ImportSource,
  importSource,
} from "./import-source.ts";
import { formatRoute, ROOT } from "./route.ts";
import { plural } from "./size.ts";
import { deriveName, nameFault } from "./source-name.ts";
import { AS_IT_WAS, PATHS_STAY, Task } from "./task.ts";
import { controls, theme } from "./theme.ts";

/**
 * Imports a folder, a tar archive or a NAR as a store path, or the store paths of a nario.
 *
 * @fires tvix-imported - after a store path was made; `detail: { info: PathInfo }`
 * @fires tvix-pulled - after the store paths of a nario were imported; `detail: { paths: number }`,
 *   their number
 */
export class TvixImport extends LitElement {
  static override properties = {
    store: { attribute: false },
    source: { state: true },
    archive: { state: true },
    name: { state: true },
    over: { state: true },
    fault: { state: true },
    result: { state: true },
  };

  declare store: Store | undefined;
  declare private source: ImportSource | undefined;
  declare private archive: ArchiveKind;
  declare private name: string;
  /** Whether the reader is dragging something over the element. */
  declare private over: boolean;
  declare private fault: string | undefined;
  declare private result: Imported | undefined;
  readonly #task = new Task(this);

  constructor() {
    super();
    this.archive = "tar";
    this.name = "";
    this.over = false;
  }

  static override styles = [
    theme,
    controls,
    css`
      .drop {
        display: grid;
        gap: 0.6rem;
        padding: 1.1rem 1rem;
        border: 1.5px dashed var(--line);
        border-radius: 6px;
        text-align: center;
        justify-items: center;
      }
      .drop.over {
        border-color: var(--accent);
        background: var(--accent-wash);
      }
      .row {
        justify-content: center;
      }
      .end {
        justify-content: flex-end;
      }
      form {
        display: grid;
        gap: 0.75rem;
      }
      .source {
        overflow-wrap: anywhere;
      }
    `,
  ];

  /** Prepares the import of `source`, as if the reader had dropped it here. */
  offer(source: ImportSource): void {
    if (this.#task.running) return;
    this.#task.clear();
    this.result = undefined;
    this.fault = undefined;
    this.source = source;
    this.name = deriveName(source.name);
    if (source instanceof File) void this.#detect(source);
    void this.updateComplete.then(() => this.renderRoot.querySelector<HTMLInputElement>("[name=path-name]")?.select());
  }

  override render(): TemplateResult {
    return html`
      <div class="stack">
        ${this.#task.running ? nothing : this.source ? this.#form(this.source) : this.#drop()}
        ${this.fault ? html`<p class="notice failed" role="alert">${this.fault}</p>` : nothing} ${this.#task.render()}
        ${this.result ? this.#outcome(this.result) : nothing}
      </div>
    `;
  }

  #outcome({ infos, notTold }: Imported): TemplateResult {
    const [info] = infos;
    return html`
      <div class="notice done" role="status">
        ${
          info && infos.length === 1
            ? html`<p>
                Imported as
                <a href=${formatRoute({ storePath: info.storePath, path: ROOT })}><code>${info.storePath}</code></a>
              </p>`
            : html`<p>Imported ${plural(infos.length, "store path")}.</p>`
        }
        ${notTold.length ? html`<p class="dim">${describeNotTold(notTold)}</p>` : nothing}
      </div>
    `;
  }

  #drop(): TemplateResult {
    return html`
      <div
        class="drop ${this.over ? "over" : ""}"
        @dragover=${(event: DragEvent) => {
          event.preventDefault();
          this.over = true;
        }}
        @dragleave=${() => {
          this.over = false;
        }}
        @drop=${this.#dropped}
      >
        <p>Drop a folder, a tar archive, a NAR or a nario here.</p>
        <div class="row">
          <button type="button" @click=${this.#pickFolder}>Choose folder…</button>
          <button type="button" @click=${() => this.#input("archive")?.click()}>Choose archive…</button>
        </div>
        <p class="hint">Nothing leaves this browser. Archives may be compressed with gzip, xz, zstd, bzip2, lz4, lzip or lzma.</p>
        <input type="file" name="folder" aria-label="Folder" webkitdirectory hidden @change=${this.#folderPicked} />
        <input type="file" name="archive" aria-label="File of an archive" hidden @change=${this.#archivePicked} />
      </div>
    `;
  }

  #form(source: ImportSource): TemplateResult {
    const fault = this.#isNamed ? nameFault(this.name) : undefined;
    return html`
      <form @submit=${this.#submit}>
        <p class="source"><strong>${showText(source.name)}</strong> <span class="dim">${describeSource(source)}</span></p>
        ${
          source instanceof File
            ? html`<label class="field"
                >Kind of archive
                <select
                  name="archive-kind"
                  @change=${(event: Event) => {
                    const { value } = event.target as HTMLSelectElement;
                    this.archive = value === "nar" || value === "nario" ? value : "tar";
                  }}
                >
                  ${Object.entries(ARCHIVE_KINDS).map(
                    ([kind, text]) => html`<option value=${kind} ?selected=${this.archive === kind}>${text}</option>`,
                  )}
                </select></label
              >`
            : nothing
        }
        <div class="field" ?hidden=${!this.#isNamed}>
          <label for="path-name">Name of the store path</label>
          <input
            id="path-name"
            name="path-name"
            class="mono"
            autocomplete="off"
            autocapitalize="off"
            spellcheck="false"
            .value=${this.name}
            aria-invalid=${fault ? "true" : "false"}
            aria-describedby="name-fault"
            @input=${(event: InputEvent) => {
              this.name = (event.target as HTMLInputElement).value;
            }}
          />
          <p class="fault" id="name-fault" aria-live="polite">${fault ?? ""}</p>
        </div>
        <div class="row end">
          <button type="button" class="plain" @click=${this.#forget}>Choose another</button>
          <button type="submit" class="primary" ?disabled=${fault !== undefined || !this.store}>Import</button>
        </div>
      </form>
    `;
  }

  /** Whether the reader names the store path. The paths of a nario have names. */
  get #isNamed(): boolean {
    return !(this.source instanceof File && this.archive === "nario");
  }

  #input(name: string): HTMLInputElement | null {
    return this.renderRoot.querySelector<HTMLInputElement>(`input[name=${name}]`);
  }

  readonly #forget = (): void => {
    this.source = undefined;
    this.fault = undefined;
    this.#task.clear();
  };

  readonly #dropped = async (event: DragEvent): Promise<void> => {
    event.preventDefault();
    event.stopPropagation();
    this.over = false;
    if (event.dataTransfer) await this.takeDrop(event.dataTransfer);
  };

  /** Takes a drop from elsewhere on the page. Call it in the handler of the drop. */
  async takeDrop(transfer: DataTransfer): Promise<void> {
    this.fault = undefined;
    try {
      const { folders, files } = await droppedItems(transfer);
      const [first, ...more] = [...folders, ...files];
      if (!first) this.fault = "That was neither a file nor a folder.";
      else if (more.length > 0) this.fault = "Only one folder or archive can be imported at a time. Drop one of them.";
      else this.offer(first);
    } catch (error) {
      this.fault = describeFailure(error);
    }
  }

  readonly #pickFolder = async (): Promise<void> => {
    if (!canPickDirectory()) {
      this.#input("folder")?.click();
      return;
    }
    try {
      const handle = await pickDirectory();
      if (handle) this.offer({ name: handle.name, source: handle });
    } catch (error) {
      this.fault = describeFailure(error);
    }
  };

  readonly #folderPicked = (event: Event): void => {
    const files = [...((event.target as HTMLInputElement).files ?? [])];
    const name = files[0]?.webkitRelativePath.split("/")[0];
    if (name) this.offer({ name, source: files });
    else this.fault = "That folder has no files, and this browser can't pass on a folder without files.";
  };

  readonly #archivePicked = (event: Event): void => {
    const file = (event.target as HTMLInputElement).files?.[0];
    if (file) this.offer(file);
  };

  async #detect(file: File): Promise<void> {
    try {
      this.archive = await detectArchive(file);
    } catch (error) {
      this.fault = describeFailure(error);
    }
  }

  readonly #submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    const { store, source, name, archive } = this;
    const isNamed = this.#isNamed;
    if (!store || !source || (isNamed && nameFault(name) !== undefined)) return;
    this.fault = undefined;
    this.result = undefined;
    await this.#task.run(
      `Importing ${isNamed ? name : source.name}`,
      async (options) => {
        const result = await importSource(store, source, archive, { name, ...options });
        const { infos } = result;
        this.result = result;
        this.source = undefined;
        const [type, detail] = isNamed ? ["tvix-imported", { info: infos[0] }] : ["tvix-pulled", { paths: infos.length }];
        this.dispatchEvent(new CustomEvent(type, { detail, bubbles: true, composed: true }));
        return "";
      },
      isNamed ? AS_IT_WAS : PATHS_STAY,
    );
  };
}
