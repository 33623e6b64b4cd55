import { css, html, type TemplateResult } from "lit";
import { showName } from "../file-name.ts";
import { type ImageType, imageType, SNIFF_LENGTH } from "../file-type.ts";
import type { FileFacts, FileView, FileViewHost, OpenFileView } from "./file-view.ts";

/** Maximum size in bytes of an image that is shown. The page holds the whole image in memory. */
const IMAGE_LIMIT = 32 * 1024 * 1024;

/** Shows an image by `<img>`, which runs no script and loads no other resource of an SVG. */
export const imageView: FileView = {
  name: "image",
  label: "Image",
  alwaysOffered: false,
  styles: css`
    .view-image figure {
      display: grid;
      place-items: center;
      min-height: 100%;
      margin: 0;
      padding: 1rem;
      /* The squares show transparent areas. */
      background: repeating-conic-gradient(var(--wash) 0% 25%, transparent 0% 50%) 0 0 / 20px 20px;
    }
    .view-image img {
      max-width: 100%;
      min-width: min(100%, 4rem);
      max-height: 75vh;
    }
  `,
  accepts: (facts) => typeOf(facts) !== undefined,
  open: (facts, host) => new OpenImage(facts, host),
};

function typeOf({ size, head }: FileFacts): ImageType | undefined {
  return size <= IMAGE_LIMIT ? imageType(head.subarray(0, SNIFF_LENGTH)) : undefined;
}

class OpenImage implements OpenFileView {
  readonly #facts: FileFacts;
  readonly #host: FileViewHost;
  #url: string | undefined;
  #closed = false;

  constructor(facts: FileFacts, host: FileViewHost) {
    this.#facts = facts;
    this.#host = host;
    host.load(() => this.#read());
  }

  content(): TemplateResult | undefined {
    if (this.#url === undefined) return undefined;
    const name = showName(this.#facts.name);
    return html`<figure>
      <img src=${this.#url} alt=${name} @error=${() => this.#host.giveUp()} />
    </figure>`;
  }

  close(): void {
    this.#closed = true;
    if (this.#url !== undefined) URL.revokeObjectURL(this.#url);
  }

  async #read(): Promise<void> {
    const type = typeOf(this.#facts);
    const blob = new Blob([await this.#facts.read(0, this.#facts.size)], { type: type ?? "" });
    // If the reader opens an SVG with a `blob:` address on its own, it becomes a document of this
    // site. With a `data:` address it belongs to no site.
    this.#url = type === "image/svg+xml" ? await dataUrl(blob) : URL.createObjectURL(blob);
    if (this.#closed) URL.revokeObjectURL(this.#url);
  }
}

function dataUrl(blob: Blob): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}
