import { css, html, LitElement, nothing, type TemplateResult } from "lit";
import { type DroppedFolder, droppedItems } from "../browser/dropped.ts";
import type { Store } from "../browser/store.ts";
import type { OperationOptions } from "../progress.ts";
import type { PathInfo } from "../store/path-info.ts";
import type { NotTold } from "../thread/store-api.ts";
import { describeFailure } from "./failure.ts";
import { showText } from "./file-name.ts";
import { canPickDirectory, pickDirectory } from "./file-picker.ts";
import { formatRoute } from "./route.ts";
import { plural, showSize } from "./size.ts";
import { deriveName, nameFault } from "./source-name.ts";
import { Task } from "./task.ts";
import { controls, theme } from "./theme.ts";

/** What can be imported: a folder, or the file of an archive. */
export type ImportSource = DroppedFolder | File;

type ArchiveKind = "tar" | "nar";

/**
 * Makes a store path of a folder, a tar archive or a NAR.
 *
 * @fires tvix-imported - `detail: { info: PathInfo }`
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
  /** Whether something is being dragged over. */
  declare private over: boolean;
  declare private fault: string | undefined;
  declare private result: { info: PathInfo; notTold: readonly NotTold[] } | undefined;
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

  /** Shows `source` ready to be imported, as if it had been dropped here. */
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
        ${
          this.result
            ? html`<div class="notice done" role="status">
                <p>
                  Imported as
                  <a href=${formatRoute({ storePath: this.result.info.storePath, path: new Uint8Array(0) })}
                    ><code>${this.result.info.storePath}</code></a
                  >
                </p>
                ${this.result.notTold.length ? html`<p class="dim">${describeNotTold(this.result.notTold)}</p>` : nothing}
              </div>`
            : nothing
        }
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
        <p>Drop a folder, a tar archive or a NAR here.</p>
        <div class="row">
          <button type="button" @click=${this.#pickFolder}>Choose folder…</button>
          <button type="button" @click=${() => this.#input("archive")?.click()}>Choose tar or NAR…</button>
        </div>
        <p class="hint">Nothing leaves this browser. Archives may be compressed with gzip, xz, zstd, bzip2, lz4, lzip or lzma.</p>
        <input type="file" name="folder" aria-label="Folder" webkitdirectory hidden @change=${this.#folderPicked} />
        <input type="file" name="archive" aria-label="Tar or NAR file" hidden @change=${this.#archivePicked} />
      </div>
    `;
  }

  #form(source: ImportSource): TemplateResult {
    const fault = nameFault(this.name);
    return html`
      <form @submit=${this.#submit}>
        <p class="source"><strong>${showText(source.name)}</strong> <span class="dim">${summary(source)}</span></p>
        ${
          source instanceof File
            ? html`<label class="field"
                >Kind of archive
                <select
                  name="archive-kind"
                  @change=${(event: Event) => {
                    this.archive = (event.target as HTMLSelectElement).value === "nar" ? "nar" : "tar";
                  }}
                >
                  <option value="tar" ?selected=${this.archive === "tar"}>Tar archive</option>
                  <option value="nar" ?selected=${this.archive === "nar"}>Nix archive (NAR)</option>
                </select></label
              >`
            : nothing
        }
        <div class="field">
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

  /** To be called in the handler of a drop elsewhere on the page. */
  async takeDrop(transfer: DataTransfer): Promise<void> {
    this.fault = undefined;
    try {
      const { folders, files } = await droppedItems(transfer);
      const [first, ...more] = [...folders, ...files];
      if (!first) this.fault = "That was neither a file nor a folder.";
      else if (more.length > 0) this.fault = "A store path is made of one thing: drop one folder or one archive.";
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
    else this.fault = "That folder has no files, and this browser does not tell of folders without any.";
  };

  readonly #archivePicked = (event: Event): void => {
    const file = (event.target as HTMLInputElement).files?.[0];
    if (file) this.offer(file);
  };

  /** The first bytes tell, where they are not compressed; then the name does. */
  async #detect(file: File): Promise<void> {
    this.archive = /\.nar(\.|$)/i.test(file.name) ? "nar" : "tar";
    try {
      const head = new Uint8Array(await file.slice(0, 24).arrayBuffer());
      const magic = String.fromCharCode(...head.subarray(8, 21));
      if (magic === "nix-archive-1") this.archive = "nar";
    } catch (error) {
      this.fault = describeFailure(error);
    }
  }

  readonly #submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    const { store, source, name, archive } = this;
    if (!store || !source || nameFault(name) !== undefined) return;
    this.fault = undefined;
    this.result = undefined;
    await this.#task.run(`Importing ${name}`, async (options) => {
      const result = await importSource(store, source, archive, { name, ...options });
      this.result = result;
      this.source = undefined;
      this.dispatchEvent(new CustomEvent("tvix-imported", { detail: { info: result.info }, bubbles: true, composed: true }));
      return "";
    });
  };
}

async function importSource(
  store: Store,
  source: ImportSource,
  archive: ArchiveKind,
  options: OperationOptions & { name: string },
): Promise<{ info: PathInfo; notTold: readonly NotTold[] }> {
  if (source instanceof File) {
    const info = archive === "nar" ? await store.importNar(source, options) : await store.importTar(source, options);
    return { info, notTold: [] };
  }
  const info = await store.importDirectory(source.source, options);
  return { info, notTold: info.notTold };
}

function summary(source: ImportSource): string {
  if (source instanceof File) return showSize(source.size);
  if (!Array.isArray(source.source)) return "folder";
  const size = source.source.reduce((sum, file) => sum + file.size, 0);
  return `folder, ${plural(source.source.length, "file")}, ${showSize(size)}`;
}

const UNTOLD: Record<NotTold, string> = {
  "executable-bits": "which files are executable",
  symlinks: "which are symbolic links",
  "empty-directories": "directories without files",
};

function describeNotTold(notTold: readonly NotTold[]): string {
  const list = new Intl.ListFormat("en", { type: "disjunction" }).format(notTold.map((fact) => UNTOLD[fact]));
  return `A browser does not tell ${list}, so this store path may differ from the one Nix makes of the folder. A tar archive or a NAR keeps everything.`;
}
