import { css, html, nothing, type TemplateResult } from "lit";
import { DIRECTION_CONTROLS } from "../file-name.ts";
import { type DecodedText, decodeText } from "../file-type.ts";
import { showSize } from "../size.ts";
import { type FileFacts, type FileView, type FileViewHost, HEAD_LENGTH, type OpenFileView } from "./file-view.ts";

/** Bytes of text that each "Show more" adds. */
const TEXT_STEP = HEAD_LENGTH;
/** Maximum bytes of text that are shown. Longer text is for an editor, not for a page. */
const TEXT_LIMIT = 8 * 1024 * 1024;

/** Shows the start of a file as text with line numbers. */
export const textView: FileView = {
  name: "text",
  label: "Text",
  alwaysOffered: true,
  styles: css`
    .view-text .text {
      display: flex;
      min-width: max-content;
      padding-block: 0.5rem;
      line-height: 1.5;
    }
    .view-text .numbers {
      position: sticky;
      left: 0;
      padding-inline: 0.75rem;
      background: var(--paper);
      color: var(--dim);
      text-align: right;
      user-select: none;
      opacity: 0.7;
    }
    .view-text .content {
      padding-inline-end: 1rem;
      tab-size: 8;
      unicode-bidi: plaintext;
    }
  `,
  accepts: ({ head, size }) => decodeText(head, head.length < size) !== undefined,
  open: (facts, host) => new OpenText(facts, host),
};

class OpenText implements OpenFileView {
  readonly #facts: FileFacts;
  readonly #host: FileViewHost;
  #decoded: DecodedText;
  /** Number of bytes that were read and decoded so far. */
  #read: number;

  constructor(facts: FileFacts, host: FileViewHost) {
    this.#facts = facts;
    this.#host = host;
    this.#decoded = this.#decode(facts.head);
    this.#read = facts.head.length;
  }

  content(): TemplateResult {
    const { text } = this.#decoded;
    const lines = text.split("\n");
    if (lines.at(-1) === "") lines.pop();
    const numbers = lines.map((_, i) => i + 1).join("\n");
    return html`<div class="text"><pre class="numbers" aria-hidden="true">${numbers}</pre><pre class="content">${text}</pre></div>`;
  }

  controls(): TemplateResult {
    const { encoding, text } = this.#decoded;
    const warning = "This text has invisible characters that change its direction.";
    return html`
      <span class="dim">${encoding}</span>
      ${DIRECTION_CONTROLS.test(text) ? html`<span class="bad">${warning}</span>` : nothing}
      ${this.#read < this.#facts.size ? this.#rest() : nothing}
    `;
  }

  #rest(): TemplateResult {
    return html`<span class="dim">The first ${showSize(this.#read)} of ${showSize(this.#facts.size)}.</span>
      ${
        this.#read < TEXT_LIMIT
          ? html`<button type="button" @click=${() => this.#host.load(() => this.#readMore())}>Show more</button>`
          : html`<span class="dim">Download it to see the rest.</span>`
      }`;
  }

  async #readMore(): Promise<void> {
    const bytes = await this.#facts.read(0, Math.min(this.#read + TEXT_STEP, TEXT_LIMIT));
    this.#decoded = this.#decode(bytes);
    this.#read = bytes.length;
  }

  #decode(bytes: Uint8Array): DecodedText {
    // If the reader asks for a binary file as text, replacement characters stand for the bytes that
    // are not text.
    return decodeText(bytes, bytes.length < this.#facts.size) ?? { text: binaryAsText(bytes), encoding: "Not text" };
  }
}

function binaryAsText(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes).replace(/[^\P{Cc}\n\t]/gu, "�");
}
