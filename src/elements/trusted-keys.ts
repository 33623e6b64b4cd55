import { css, html, LitElement, type TemplateResult } from "lit";
import { describeFailure } from "./failure.ts";
import { showText } from "./file-name.ts";
import { forgetKey, KeptKeys, keepKeys } from "./kept-keys.ts";
import { controls, theme } from "./theme.ts";

/**
 * Shows the public keys that the reader trusts. The reader can add and remove keys, which are
 * stored for this origin.
 */
export class TvixTrustedKeys extends LitElement {
  static override properties = {
    typed: { state: true },
    fault: { state: true },
  };

  declare private typed: string;
  declare private fault: string;
  readonly #kept = new KeptKeys(this);

  constructor() {
    super();
    this.typed = "";
    this.fault = "";
  }

  static override styles = [
    theme,
    controls,
    css`
      :host {
        display: grid;
        grid-template-columns: minmax(0, 1fr);
        gap: 0.5rem;
      }
      ul {
        border: 1px solid var(--line);
        border-radius: 5px;
        list-style: none;
      }
      li {
        display: flex;
        align-items: center;
        gap: 0.5rem;
        padding-inline-start: 0.5rem;
      }
      li + li {
        border-top: 1px solid var(--line);
      }
      .key {
        flex: 1;
        min-width: 0;
        padding: 0.25rem 0;
        line-height: 1.3;
      }
      .key code {
        display: block;
        overflow-wrap: anywhere;
      }
      .key .dim {
        font-size: 0.75rem;
      }
      .add {
        display: grid;
        grid-template-columns: minmax(0, 1fr) auto;
        gap: 0.5rem;
      }
    `,
  ];

  /**
   * Stores the keys that were typed in but not added yet.
   *
   * @returns false if they can't be stored; the reader then sees the reason
   */
  takeTyped(): boolean {
    if (this.typed.trim() === "") return true;
    try {
      keepKeys(this.typed);
      this.typed = "";
      this.fault = "";
      return true;
    } catch (error) {
      this.fault = describeFailure(error);
      this.#input()?.focus();
      return false;
    }
  }

  override render(): TemplateResult {
    const { keys } = this.#kept;
    return html`
      ${
        keys.length
          ? html`<ul aria-label="Trusted public keys">
              ${keys.map((key) => this.#key(key))}
            </ul>`
          : html`<p class="hint">None yet.</p>`
      }
      <form
        @submit=${(event: SubmitEvent) => {
          event.preventDefault();
          this.takeTyped();
        }}
      >
        <div class="field">
          <label for="key">Add a public key</label>
          <div class="add">
            <input
              id="key"
              class="mono"
              autocomplete="off"
              autocapitalize="off"
              spellcheck="false"
              placeholder="cache.example.org-1:…"
              aria-invalid=${this.fault ? "true" : "false"}
              aria-describedby="key-fault"
              .value=${this.typed}
              @input=${(event: InputEvent) => {
                this.typed = (event.target as HTMLInputElement).value;
                this.fault = "";
              }}
            />
            <button type="submit" ?disabled=${this.typed.trim() === ""}>Add</button>
          </div>
          <p class="fault" id="key-fault" aria-live="polite">${this.fault}</p>
        </div>
      </form>
    `;
  }

  #key(key: string): TemplateResult {
    const colon = key.indexOf(":");
    const name = showText(key.slice(0, colon));
    return html`<li>
      <span class="key"><code>${name}</code><code class="dim">${key.slice(colon + 1)}</code></span>
      <button type="button" class="plain" aria-label="Remove ${name}" title="Remove" @click=${() => this.#remove(key)}>✕</button>
    </li>`;
  }

  #remove(key: string): void {
    forgetKey(key);
    // The button that had the focus is gone.
    this.#input()?.focus();
  }

  #input(): HTMLInputElement | null {
    return this.renderRoot.querySelector("input");
  }
}
