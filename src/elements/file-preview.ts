import { css, html, LitElement, nothing, type PropertyValues, type TemplateResult } from "lit";
import type { Store } from "../browser/store.ts";
import { equalBytes } from "../bytes.ts";
import { StoreError } from "../error.ts";
import type { ListEntry } from "../thread/store-api.ts";
import { describeFailure } from "./failure.ts";
import { DIRECTION_CONTROLS, downloadName, showName, showText } from "./file-name.ts";
import { decodeText, type ImageType, imageType, SNIFF_LENGTH } from "./file-type.ts";
import { hexDump } from "./hex-dump.ts";
import { linkTarget, showTarget } from "./link-target.ts";
import { formatRoute, splitPath } from "./route.ts";
import { saveStream } from "./save.ts";
import { showCount, showSize } from "./size.ts";
import { NOT_SAVED, Task } from "./task.ts";
import { controls, theme } from "./theme.ts";

type StoredFile = NonNullable<Awaited<ReturnType<Store["file"]>>>;
type View = "image" | "text" | "hex";

/** Bytes of text that are shown at first, and that each "Show more" adds. */
const TEXT_STEP = 256 * 1024;
/** Maximum bytes of text that are shown. Longer text is for an editor, not for a page. */
const TEXT_LIMIT = 8 * 1024 * 1024;
const IMAGE_LIMIT = 32 * 1024 * 1024;
const HEX_PAGE = 4096;

interface Preview {
  file: StoredFile;
  image: ImageType | undefined;
  imageUrl: string | undefined;
  /** The text that was read so far. */
  text: { text: string; encoding: string; read: number } | undefined;
  hex: { dump: string; offset: number } | undefined;
}

/**
 * Shows one file of a store path as an image, as text, or as bytes. Nothing in the file runs: only
 * `<img>` shows images, and all other content is put into the page as text.
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
  declare private view: View | undefined;
  declare private fault: string | undefined;
  #generation = 0;
  readonly #task = new Task(this);

  constructor() {
    super();
    this.path = new Uint8Array(0);
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
      .text {
        display: flex;
        min-width: max-content;
        padding-block: 0.5rem;
        line-height: 1.5;
      }
      .text .numbers {
        position: sticky;
        left: 0;
        padding-inline: 0.75rem;
        background: var(--paper);
        color: var(--dim);
        text-align: right;
        user-select: none;
        opacity: 0.7;
      }
      .text .content {
        padding-inline-end: 1rem;
        tab-size: 8;
        unicode-bidi: plaintext;
      }
      .hex {
        padding: 0.5rem 0.75rem;
        font-size: 0.75rem;
        line-height: 1.5;
      }
      figure {
        display: grid;
        place-items: center;
        min-height: 100%;
        margin: 0;
        padding: 1rem;
        /* The squares show transparent areas. */
        background: repeating-conic-gradient(var(--wash) 0% 25%, transparent 0% 50%) 0 0 / 20px 20px;
      }
      img {
        max-width: 100%;
        min-width: min(100%, 4rem);
        max-height: 75vh;
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
      .foot input {
        width: 8rem;
      }
      .foot label {
        display: flex;
        align-items: center;
        gap: 0.4rem;
      }
    `,
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
    return html`
      <div class="bar">
        <h3>${name}${entry?.kind === "file" && entry.executable ? html` <span class="good" title="Executable">x</span>` : nothing}</h3>
        ${preview ? html`<span class="dim">${showSize(preview.file.size)}</span>` : nothing}
        ${preview ? this.#views(preview) : nothing}
        ${preview ? html`<button type="button" ?disabled=${this.#task.running} @click=${this.#download} aria-label="Download file">Download</button>` : nothing}
      </div>
      ${this.#task.state === "idle" || this.#task.state === "done" ? nothing : html`<div class="say">${this.#task.render()}</div>`}
      <div class="body" tabindex="0" role="region" aria-label="Content of ${name}">${this.#body()}</div>
      <div class="foot">${this.#foot()}</div>
    `;
  }

  #views(preview: Preview): TemplateResult {
    const views: View[] = [...(preview.image ? (["image"] as const) : []), "text", "hex"];
    const labels = { image: "Image", text: "Text", hex: "Hex" };
    return html`
      <span class="group" role="group" aria-label="Show as">
        ${views.map(
          (
            view,
          ) => html`<button type="button" aria-pressed=${view === this.view ? "true" : "false"} @click=${() => this.#show(view)}>
            ${labels[view]}
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
    if (!preview) return html`<p class="say dim">Reading…</p>`;
    if (preview.file.size === 0) return html`<p class="say dim">This file is empty.</p>`;
    if (this.view === "image") {
      if (!preview.imageUrl) return html`<p class="say dim">Reading…</p>`;
      return html`<figure>
        <img src=${preview.imageUrl} alt=${showName(this.#name())} @error=${() => this.#brokenImage()} />
      </figure>`;
    }
    if (this.view === "text") {
      if (!preview.text) return html`<p class="say dim">Reading…</p>`;
      const lines = preview.text.text.split("\n");
      if (lines.at(-1) === "") lines.pop();
      const numbers = lines.map((_, i) => i + 1).join("\n");
      return html`<div class="text"><pre class="numbers" aria-hidden="true">${numbers}</pre><pre class="content">${preview.text.text}</pre></div>`;
    }
    return preview.hex ? html`<pre class="hex">${preview.hex.dump}</pre>` : html`<p class="say dim">Reading…</p>`;
  }

  #link(entry: Found): TemplateResult {
    const target = this.storePath === undefined ? undefined : linkTarget(this.storePath, this.path, entry);
    const shown = html`<code>${showTarget(entry)}</code>`;
    return html`<p class="say">A symbolic link to ${target ? html`<a href=${formatRoute(target)}>${shown}</a>` : shown}</p>`;
  }

  #foot(): TemplateResult | typeof nothing {
    const { preview } = this;
    if (!preview || preview.file.size === 0 || this.fault) return nothing;
    const size = preview.file.size;
    if (this.view === "text" && preview.text) {
      const { encoding, read, text } = preview.text;
      return html`
        <span class="dim">${encoding}</span>
        ${DIRECTION_CONTROLS.test(text) ? html`<span class="bad">This text has invisible characters that change its direction.</span>` : nothing}
        ${
          read < size
            ? html`<span class="dim">The first ${showSize(read)} of ${showSize(size)}.</span>
              ${
                read < TEXT_LIMIT
                  ? html`<button type="button" @click=${() => this.#readText(preview, read + TEXT_STEP)}>Show more</button>`
                  : html`<span class="dim">Download it to see the rest.</span>`
              }`
            : nothing
        }
      `;
    }
    if (this.view !== "hex" || !preview.hex || size <= HEX_PAGE) return nothing;
    const { offset } = preview.hex;
    const last = Math.floor((size - 1) / HEX_PAGE) * HEX_PAGE;
    const go = (to: number) => () => this.#readHex(preview, Math.max(0, Math.min(last, to)));
    return html`
      <span class="group" role="group" aria-label="Page of bytes">
        <button type="button" ?disabled=${offset === 0} @click=${go(0)} aria-label="First bytes">«</button>
        <button type="button" ?disabled=${offset === 0} @click=${go(offset - HEX_PAGE)} aria-label="Earlier bytes">‹</button>
        <button type="button" ?disabled=${offset >= last} @click=${go(offset + HEX_PAGE)} aria-label="Later bytes">›</button>
        <button type="button" ?disabled=${offset >= last} @click=${go(last)} aria-label="Last bytes">»</button>
      </span>
      <label>
        Offset
        <input
          class="mono"
          inputmode="text"
          .value=${`0x${offset.toString(16)}`}
          @change=${(event: Event) => {
            const wanted = Number((event.target as HTMLInputElement).value.trim());
            if (Number.isFinite(wanted)) go(Math.floor(wanted / 16) * 16)();
          }}
        />
      </label>
      <span class="dim">of ${showCount(size)} bytes</span>
    `;
  }

  #name(): Uint8Array {
    const last = splitPath(this.path).at(-1);
    return last ?? new TextEncoder().encode(this.storePath?.slice(this.storePath.lastIndexOf("/") + 34) ?? "");
  }

  #drop(): void {
    this.#generation += 1;
    if (this.preview?.imageUrl) URL.revokeObjectURL(this.preview.imageUrl);
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
      const head = await read(file, 0, Math.min(file.size, TEXT_STEP));
      if (generation !== this.#generation) return;
      const decoded = decodeText(head, head.length < file.size);
      const image = file.size <= IMAGE_LIMIT ? imageType(head.subarray(0, SNIFF_LENGTH)) : undefined;
      const text = decoded && { ...decoded, read: head.length };
      this.entry = entry;
      this.preview = { file, image, imageUrl: undefined, text, hex: undefined };
      this.#show(image ? "image" : decoded ? "text" : "hex");
    } catch (error) {
      if (generation === this.#generation) this.fault = describeFailure(error);
    }
  }

  #show(view: View): void {
    const { preview } = this;
    if (!preview) return;
    this.view = view;
    if (view === "image" && !preview.imageUrl) void this.#readImage(preview);
    if (view === "text" && !preview.text) void this.#readText(preview, TEXT_STEP);
    if (view === "hex" && !preview.hex) void this.#readHex(preview, 0);
  }

  async #readImage(preview: Preview): Promise<void> {
    await this.#update(preview, async () => {
      const blob = new Blob([await read(preview.file, 0, preview.file.size)], { type: preview.image ?? "" });
      // If the reader opens an SVG with a `blob:` address on its own, it becomes a document of this
      // site. With a `data:` address it belongs to no site.
      preview.imageUrl = preview.image === "image/svg+xml" ? await dataUrl(blob) : URL.createObjectURL(blob);
      if (this.preview !== preview) URL.revokeObjectURL(preview.imageUrl);
    });
  }

  async #readText(preview: Preview, length: number): Promise<void> {
    await this.#update(preview, async () => {
      const bytes = await read(preview.file, 0, Math.min(length, preview.file.size, TEXT_LIMIT));
      const cut = bytes.length < preview.file.size;
      // The reader asked for text, so show any bytes as text, with replacement characters for bytes
      // that are none.
      const decoded = decodeText(bytes, cut) ?? { text: binaryAsText(bytes), encoding: "Not text" };
      preview.text = { ...decoded, read: bytes.length };
    });
  }

  async #readHex(preview: Preview, offset: number): Promise<void> {
    await this.#update(preview, async () => {
      preview.hex = { dump: hexDump(await read(preview.file, offset, offset + HEX_PAGE), offset), offset };
    });
  }

  async #update(preview: Preview, change: () => Promise<void>): Promise<void> {
    try {
      await change();
    } catch (error) {
      if (this.preview === preview) this.fault = describeFailure(error);
    }
    this.requestUpdate();
  }

  #brokenImage(): void {
    this.#show(this.preview?.text ? "text" : "hex");
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

async function read(file: StoredFile, start: number, end: number): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await file.slice(start, end).arrayBuffer());
}

function binaryAsText(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes).replace(/[^\P{Cc}\n\t]/gu, "�");
}

function dataUrl(blob: Blob): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}
