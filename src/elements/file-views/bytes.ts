import { css, html, nothing, type TemplateResult } from "lit";
import { hexDump } from "../hex-dump.ts";
import { showCount } from "../size.ts";
import type { FileFacts, FileView, FileViewHost, OpenFileView } from "./file-view.ts";

/** Number of bytes on a page. */
const PAGE = 4096;

/** Shows any file as bytes in hexadecimal, one page at a time. */
export const bytesView: FileView = {
  name: "bytes",
  label: "Hex",
  alwaysOffered: true,
  styles: css`
    .view-bytes .hex {
      padding: 0.5rem 0.75rem;
      font-size: 0.75rem;
      line-height: 1.5;
    }
    .view-bytes input {
      width: 8rem;
    }
    .view-bytes label {
      display: flex;
      align-items: center;
      gap: 0.4rem;
    }
  `,
  accepts: () => true,
  open: (facts, host) => new OpenBytes(facts, host),
};

class OpenBytes implements OpenFileView {
  readonly #facts: FileFacts;
  readonly #host: FileViewHost;
  #page: { readonly dump: string; readonly offset: number } | undefined;

  constructor(facts: FileFacts, host: FileViewHost) {
    this.#facts = facts;
    this.#host = host;
    this.#go(0);
  }

  content(): TemplateResult | undefined {
    return this.#page && html`<pre class="hex">${this.#page.dump}</pre>`;
  }

  controls(): TemplateResult | typeof nothing {
    const { size } = this.#facts;
    if (!this.#page || size <= PAGE) return nothing;
    const { offset } = this.#page;
    const last = this.#last;
    const go = (to: number) => () => this.#go(to);
    return html`
      <span class="group" role="group" aria-label="Page of bytes">
        <button type="button" ?disabled=${offset === 0} @click=${go(0)} aria-label="First bytes">«</button>
        <button type="button" ?disabled=${offset === 0} @click=${go(offset - PAGE)} aria-label="Earlier bytes">‹</button>
        <button type="button" ?disabled=${offset >= last} @click=${go(offset + PAGE)} aria-label="Later bytes">›</button>
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
            if (Number.isFinite(wanted)) this.#go(Math.floor(wanted / 16) * 16);
          }}
        />
      </label>
      <span class="dim">of ${showCount(size)} bytes</span>
    `;
  }

  /** Offset of the last page. */
  get #last(): number {
    return Math.floor((this.#facts.size - 1) / PAGE) * PAGE;
  }

  #go(to: number): void {
    const offset = Math.max(0, Math.min(this.#last, to));
    this.#host.load(async () => {
      this.#page = { dump: hexDump(await this.#facts.read(offset, offset + PAGE), offset), offset };
    });
  }
}
