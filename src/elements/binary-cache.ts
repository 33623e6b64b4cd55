import { css, html, LitElement, nothing, type TemplateResult } from "lit";
import type { Store } from "../browser/store.ts";
import { parseHashPart } from "../nix/store-path.ts";
import { describeFailedPath, type FailedPath, FailedPathsError } from "../store/failed-paths.ts";
import type { SubstituteReport } from "../store/substitute.ts";
import { showText } from "./file-name.ts";
import { keptKeys } from "./kept-keys.ts";
import { formatRoute, ROOT } from "./route.ts";
import { plural, showSize } from "./size.ts";
import { nameOf } from "./store-paths.ts";
import { PATHS_STAY, Task } from "./task.ts";
import { controls, theme } from "./theme.ts";
import type { TvixTrustedKeys } from "./trusted-keys.ts";

/** Maximum number of listed items; the rest is only counted. */
const LISTED = 20;

/** The outcome of an import. */
interface Result {
  readonly report: SubstituteReport;
  /** The requested store paths that are in the store now. */
  readonly storePaths: readonly string[];
  readonly failures: readonly FailedPath[];
}

/**
 * Imports store paths from a Nix binary cache. By default, imports only paths that are
 * content-addressed or signed by a key that the reader trusts.
 *
 * @fires tvix-pulled - after store paths were imported; `detail: { paths: number }`, their number
 */
export class TvixBinaryCache extends LitElement {
  static override properties = {
    store: { attribute: false },
    address: { state: true },
    typed: { state: true },
    unsigned: { state: true },
    result: { state: true },
  };

  declare store: Store | undefined;
  declare private address: string;
  declare private typed: string;
  /** Whether to import paths that no trusted key has signed. */
  declare private unsigned: boolean;
  declare private result: Result | undefined;
  readonly #task = new Task(this);

  constructor() {
    super();
    this.address = "";
    this.typed = "";
    this.unsigned = false;
  }

  static override styles = [
    theme,
    controls,
    css`
      form {
        display: grid;
        grid-template-columns: minmax(0, 1fr);
        gap: 0.75rem;
      }
      .keys {
        display: grid;
        gap: 0.3rem;
      }
      h4 {
        margin: 0;
        font-size: 0.875rem;
        font-weight: 400;
      }
      .check {
        display: flex;
        align-items: baseline;
        gap: 0.5rem;
      }
      .end {
        justify-content: flex-end;
      }
      ul {
        margin-top: 0.3rem;
        list-style: none;
      }
    `,
  ];

  /** Fills in `storePath`, and focuses the field for the address. */
  offer(storePath: string): void {
    this.typed = storePath;
    void this.updateComplete.then(() => this.renderRoot.querySelector<HTMLInputElement>("[name=cache]")?.focus());
  }

  override render(): TemplateResult {
    const words = this.#words();
    const wrong = words.find((word) => !isStorePath(word));
    const fault = wrong === undefined ? "" : `“${showText(wrong)}” is not a store path.`;
    const ready = this.store && words.length > 0 && !fault && !this.#task.running;
    return html`
      <div class="stack">
        <form aria-label="Binary cache" @submit=${this.#submit}>
          <div class="field">
            <label for="cache">Address of the binary cache</label>
            <input
              id="cache"
              name="cache"
              class="mono"
              type="url"
              required
              autocapitalize="off"
              spellcheck="false"
              placeholder="https://cache.example.org"
              aria-describedby="cache-hint"
              .value=${this.address}
              @input=${(event: InputEvent) => {
                this.address = (event.target as HTMLInputElement).value;
              }}
            />
            <p class="hint" id="cache-hint">The cache has to allow requests from other sites (CORS).</p>
          </div>
          <div class="field">
            <label for="paths">Store paths, or their hashes</label>
            <textarea
              id="paths"
              class="mono"
              rows="3"
              autocomplete="off"
              autocapitalize="off"
              spellcheck="false"
              placeholder="/nix/store/…"
              aria-invalid=${fault ? "true" : "false"}
              aria-describedby="paths-fault paths-hint"
              .value=${this.typed}
              @input=${(event: InputEvent) => {
                this.typed = (event.target as HTMLTextAreaElement).value;
              }}
            ></textarea>
            <p class="fault" id="paths-fault" aria-live="polite">${fault}</p>
            <p class="hint" id="paths-hint">Separate them with spaces or line breaks. Their dependencies are imported too.</p>
          </div>
          <section class="keys" aria-labelledby="keys">
            <h4 id="keys">Public keys that you trust</h4>
            <tvix-trusted-keys></tvix-trusted-keys>
          </section>
          <div class="field">
            <label class="check">
              <input
                type="checkbox"
                aria-describedby="unsigned-hint"
                .checked=${this.unsigned}
                @change=${(event: Event) => {
                  this.unsigned = (event.target as HTMLInputElement).checked;
                }}
              />
              Take paths that none of these keys signed
            </label>
            <p class="hint" id="unsigned-hint">Otherwise they are refused, unless they are content-addressed.</p>
          </div>
          <div class="row end">
            <button type="submit" class="primary" ?disabled=${!ready}>
              ${words.length > 0 ? `Import ${plural(words.length, "path")}` : "Import paths"}
            </button>
          </div>
        </form>
        <div class="outcome">${this.#task.render()} ${this.result ? this.#outcome(this.result) : nothing}</div>
      </div>
    `;
  }

  #outcome({ report, storePaths, failures }: Result): TemplateResult {
    const more = storePaths.length - LISTED;
    return html`
      ${failures.length > 1 ? failedList(failures) : nothing}
      ${
        report.failed > 0 && report.paths + report.reused === 0
          ? nothing
          : html`<div class="notice done" role="status">
              <p>${summary(report)}</p>
              <ul aria-label="Imported store paths">
                ${storePaths
                  .slice(0, LISTED)
                  .map(
                    (storePath) =>
                      html`<li><a href=${formatRoute({ storePath, path: ROOT })} title=${storePath}>Open ${nameOf(storePath)}</a></li>`,
                  )}
                ${more > 0 ? html`<li class="dim">and ${plural(more, "other")}</li>` : nothing}
              </ul>
            </div>`
      }
    `;
  }

  #words(): string[] {
    return [...new Set(this.typed.split(/\s+/).filter((word) => word !== ""))];
  }

  readonly #submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    const { store, address, unsigned } = this;
    const words = this.#words();
    if (!store || words.length === 0 || !words.every(isStorePath)) return;
    if (this.renderRoot.querySelector<TvixTrustedKeys>("tvix-trusted-keys")?.takeTyped() === false) return;
    this.result = undefined;
    const done = this.#task.run(
      "Importing",
      async (options) => {
        const trust = { trustedPublicKeys: keptKeys(), requireSignatures: !unsigned };
        try {
          await this.#show(store, words, await store.importBinaryCache(address, words, { ...trust, ...options }), []);
        } catch (error) {
          if (error instanceof FailedPathsError) await this.#show(store, words, error.report, error.failures);
          throw error;
        }
        this.typed = "";
        return "";
      },
      PATHS_STAY,
    );
    await this.#reveal();
    await done;
    await this.#reveal();
  };

  async #show(store: Store, words: readonly string[], report: SubstituteReport, failures: readonly FailedPath[]): Promise<void> {
    const infos = await Promise.all(words.map((word) => store.pathInfo(word)));
    this.result = { report, storePaths: infos.flatMap((info) => info?.storePath ?? []), failures };
    if (report.paths > 0)
      this.dispatchEvent(new CustomEvent("tvix-pulled", { detail: { paths: report.paths }, bubbles: true, composed: true }));
  }

  /** Scrolls to the outcome: it is below the form, which may be as long as the panel. */
  async #reveal(): Promise<void> {
    await this.updateComplete;
    this.renderRoot.querySelector(".outcome")?.scrollIntoView({ block: "nearest" });
  }
}

function isStorePath(word: string): boolean {
  try {
    parseHashPart(word);
    return true;
  } catch {
    return false;
  }
}

function failedList(failures: readonly FailedPath[]): TemplateResult {
  const more = failures.length - LISTED;
  return html`
    <div class="notice failed">
      <ul aria-label="Store paths that failed">
        ${failures.slice(0, LISTED).map((failure) => html`<li>${describeFailedPath(failure)}</li>`)}
        ${more > 0 ? html`<li class="dim">and ${plural(more, "other")}</li>` : nothing}
      </ul>
    </div>
  `;
}

function summary({ paths, bytes, reused, retried, failed }: SubstituteReport): string {
  if (paths === 0 && failed === 0) return "Nothing to do: everything was there already.";
  const sentences = [`Imported ${plural(paths, "path")}: ${showSize(bytes)} of NARs.`];
  if (failed > 0) sentences.push(`${plural(failed, "path")} failed.`);
  if (reused > 0) sentences.push(`${plural(reused, "path")} ${reused === 1 ? "was" : "were"} there already.`);
  if (retried > 0) sentences.push(`${plural(retried, "request")} had to be retried.`);
  return sentences.join(" ");
}
