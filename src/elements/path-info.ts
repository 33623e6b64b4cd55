import { css, html, LitElement, nothing, type PropertyValues, type TemplateResult } from "lit";
import type { Store } from "../browser/store.ts";
import { STORE_DIR } from "../nix/store-path.ts";
import type { PathInfo } from "../store/path-info.ts";
import type { SignatureReport } from "../store/signature-report.ts";
import { describeFailure } from "./failure.ts";
import { KeptKeys } from "./kept-keys.ts";
import { formatRoute, ROOT } from "./route.ts";
import { saveStream } from "./save.ts";
import { signatureList, signatureStyle } from "./signature-list.ts";
import { showCount, showSize } from "./size.ts";
import { nameOf } from "./store-paths.ts";
import { NOT_SAVED, Task } from "./task.ts";
import { controls, theme } from "./theme.ts";

/**
 * Saves the NAR of a store path as `<name>.nar`, and reports progress to `task`. Call it in the
 * handler of a click.
 */
export function downloadNar(store: Store, info: PathInfo, task: Task): Promise<boolean> {
  return task.run(
    "Saving the NAR",
    async (options) => {
      const saved = await saveStream(`${nameOf(info.storePath)}.nar`, info.narSize, () => store.nar(info.storePath), options);
      return saved ? "Saved the NAR." : "Not saved.";
    },
    NOT_SAVED,
  );
}

/**
 * Shows all facts about one store path, with its signatures and its NARInfo, as a binary cache
 * serves it. Links have the form `#/nix/store/...` of the viewer.
 */
export class TvixPathInfo extends LitElement {
  static override properties = {
    store: { attribute: false },
    info: { attribute: false },
    paths: { attribute: false },
    hideDownload: { type: Boolean, attribute: "hide-download" },
    narInfo: { state: true },
    signed: { state: true },
    fault: { state: true },
    copied: { state: true },
  };

  declare store: Store | undefined;
  declare info: PathInfo | undefined;
  /**
   * Other paths of the store. The element links to these only, and searches them for paths that
   * refer to this one.
   */
  declare paths: readonly PathInfo[];
  declare hideDownload: boolean;
  declare private narInfo: string | undefined;
  /** Result of checking the signatures with the stored keys. */
  declare private signed: SignatureReport | undefined;
  declare private fault: string | undefined;
  declare private copied: boolean;
  readonly #task = new Task(this);
  readonly #kept = new KeptKeys(this);
  /** The keys with which `signed` was checked. */
  #checkedWith: readonly string[] | undefined;

  constructor() {
    super();
    this.paths = [];
    this.hideDownload = false;
    this.copied = false;
  }

  static override styles = [
    theme,
    controls,
    signatureStyle,
    css`
      :host {
        overflow: auto;
      }
      .sheet {
        display: grid;
        gap: 1.25rem;
        max-width: 60rem;
        padding: 0.9rem 1rem 2rem;
      }
      dl {
        display: grid;
        grid-template-columns: max-content minmax(0, 1fr);
        gap: 0.4rem 1.25rem;
      }
      dt {
        color: var(--dim);
      }
      dd {
        overflow-wrap: anywhere;
      }
      ul {
        list-style: none;
      }
      details {
        max-width: 34rem;
        margin-top: 0.3rem;
      }
      summary {
        width: fit-content;
        color: var(--accent);
        cursor: pointer;
      }
      details[open] > summary {
        margin-bottom: 0.4rem;
      }
      .long {
        max-height: 16rem;
        overflow: auto;
      }
      .absent {
        color: var(--dim);
      }
      .head {
        display: flex;
        flex-wrap: wrap;
        align-items: center;
        gap: 0.5rem;
        margin-bottom: 0.4rem;
      }
      h3 {
        flex: 1;
        font-size: 0.875rem;
        font-weight: 600;
      }
      pre {
        padding: 0.7rem 0.9rem;
        overflow: auto;
        border: 1px solid var(--line);
        border-radius: 5px;
        background: var(--wash);
        line-height: 1.55;
        white-space: pre-wrap;
        overflow-wrap: anywhere;
      }
      @media (max-width: 40rem) {
        dl {
          grid-template-columns: minmax(0, 1fr);
          gap: 0;
        }
        dd {
          margin-bottom: 0.6rem;
        }
      }
    `,
  ];

  protected override willUpdate(changed: PropertyValues): void {
    const other = changed.has("store") || changed.has("info");
    if (other) void this.#readNarInfo();
    if (other || this.#checkedWith !== this.#kept.keys) void this.#verifySignatures(other);
  }

  override render(): TemplateResult | typeof nothing {
    const { info } = this;
    if (!info) return nothing;
    const here = new Set(this.paths.map(({ storePath }) => storePath));
    const base = info.storePath.slice(STORE_DIR.length + 1);
    const referrers = this.paths
      .filter(({ storePath, references }) => storePath !== info.storePath && references.includes(base))
      .map(({ storePath }) => storePath.slice(STORE_DIR.length + 1));
    return html`
      <div class="sheet">
        <dl>
          <dt>Store path</dt>
          <dd><code>${info.storePath}</code></dd>
          <dt>NAR hash</dt>
          <dd><code>${info.narHash}</code></dd>
          <dt>NAR size</dt>
          <dd>${showSize(info.narSize)} <span class="dim">(${showCount(info.narSize)} bytes)</span></dd>
          ${info.ca ? html`<dt>Content address</dt><dd><code>${info.ca}</code>${this.#addressed()}</dd>` : nothing}
          ${info.deriver ? html`<dt>Deriver</dt><dd>${this.#path(info.deriver, here)}</dd>` : nothing}
          <dt id="references">References</dt>
          <dd>${this.#paths(info.references, here, "references")}</dd>
          <dt id="referrers">Referred to by</dt>
          <dd>${this.#paths(referrers, here, "referrers")}</dd>
          <dt id="signatures">Signatures</dt>
          <dd>
            ${signatureList(info.signatures, this.signed, "signatures")}
            <details>
              <summary>Public keys that you trust</summary>
              <tvix-trusted-keys></tvix-trusted-keys>
            </details>
          </dd>
        </dl>
        <section aria-labelledby="narinfo">
          <div class="head">
            <h3 id="narinfo">NARInfo</h3>
            <button type="button" ?disabled=${this.narInfo === undefined} @click=${this.#copy}>${this.copied ? "Copied" : "Copy"}</button>
            ${
              this.hideDownload
                ? nothing
                : html`<button type="button" ?disabled=${this.#task.running} @click=${this.#download}>Download NAR</button>`
            }
          </div>
          ${this.#task.render()}
          ${
            this.fault
              ? html`<p class="notice failed" role="alert">${this.fault}</p>`
              : html`<pre aria-label="NARInfo text" tabindex="0">${this.narInfo ?? "Reading…"}</pre>`
          }
        </section>
      </div>
    `;
  }

  #addressed(): TemplateResult | typeof nothing {
    if (!this.signed?.contentAddressed) return nothing;
    return html`<div><span class="good">✓ content-addressed</span><span class="dim">: the content determines the store path, so it needs no signature</span></div>`;
  }

  #paths(baseNames: readonly string[], here: ReadonlySet<string>, label: string): TemplateResult {
    if (baseNames.length === 0) return html`<span class="dim">none</span>`;
    return html`<ul class="long" aria-labelledby=${label}>${baseNames.map((name) => html`<li>${this.#path(name, here)}</li>`)}</ul>`;
  }

  #path(baseName: string, here: ReadonlySet<string>): TemplateResult {
    const storePath = `${STORE_DIR}/${baseName}`;
    if (storePath === this.info?.storePath) return html`<code>${baseName}</code> <span class="dim">(itself)</span>`;
    if (!here.has(storePath)) return html`<code class="absent">${baseName}</code> <span class="dim">(not in this store)</span>`;
    return html`<a href=${formatRoute({ storePath, path: ROOT })}><code>${baseName}</code></a>`;
  }

  async #readNarInfo(): Promise<void> {
    const { store, info } = this;
    this.narInfo = undefined;
    this.fault = undefined;
    this.copied = false;
    if (!store || !info) return;
    try {
      const text = await store.narInfo(info.storePath);
      if (this.info === info) this.narInfo = text;
    } catch (error) {
      if (this.info === info) this.fault = describeFailure(error);
    }
  }

  /**
   * Checks the signatures.
   *
   * @param other whether the earlier result belongs to another store path
   */
  async #verifySignatures(other: boolean): Promise<void> {
    const { store, info } = this;
    const { keys } = this.#kept;
    this.#checkedWith = keys;
    if (other) this.signed = undefined;
    if (!store || !info) return;
    try {
      const signed = await store.verifySignatures(info.storePath, { trustedPublicKeys: keys });
      if (this.info === info && this.#checkedWith === keys) this.signed = signed;
    } catch (error) {
      if (this.info === info) this.fault = describeFailure(error);
    }
  }

  readonly #copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(this.narInfo ?? "");
      this.copied = true;
    } catch (error) {
      this.fault = describeFailure(error);
    }
  };

  readonly #download = (): void => {
    if (this.store && this.info) void downloadNar(this.store, this.info, this.#task);
  };
}
