import { css, html, LitElement, type PropertyValues, type TemplateResult } from "lit";
import type { Store } from "../browser/store.ts";
import { parseHashPart } from "../nix/store-path.ts";
import type { PathInfo } from "../store/path-info.ts";
import type { SyncReport } from "../store/sync.ts";
import { DaemonForm, daemonFormStyle } from "./daemon-form.ts";
import { plural, showSize } from "./size.ts";
import { PATHS_STAY, Task } from "./task.ts";
import { controls, theme } from "./theme.ts";

type Direction = "pull" | "push";

/**
 * Copies store paths from and to a daemon.
 *
 * @fires tvix-pulled - after store paths were pulled; `detail: { paths: number }`, their number
 */
export class TvixSync extends LitElement {
  static override properties = {
    store: { attribute: false },
    paths: { attribute: false },
    daemon: {},
    direction: { state: true },
    typed: { state: true },
    closure: { state: true },
    toPull: { state: true },
    toPush: { state: true },
  };

  declare store: Store | undefined;
  /** The path infos of the store, which can be pushed. */
  declare paths: readonly PathInfo[];
  /** Address that the form shows at first, unless the reader has used another address before. */
  declare daemon: string;
  declare private direction: Direction;
  declare private typed: string;
  declare private closure: boolean;
  declare private toPull: ReadonlySet<string>;
  declare private toPush: ReadonlySet<string>;
  readonly #form = new DaemonForm(this, () => {
    this.toPull = new Set();
  });
  readonly #transfer = new Task(this);

  constructor() {
    super();
    this.paths = [];
    this.daemon = "http://localhost:8000";
    this.direction = "pull";
    this.typed = "";
    this.closure = true;
    this.toPull = new Set();
    this.toPush = new Set();
  }

  static override styles = [
    theme,
    controls,
    daemonFormStyle,
    css`
      :host {
        display: flex;
        flex-direction: column;
        min-height: 0;
      }
      .stack {
        flex: 1;
        grid-template-rows: auto auto minmax(10rem, 1fr) auto auto;
        min-height: 0;
      }
      .pane {
        display: flex;
        flex-direction: column;
        gap: 0.5rem;
        min-height: 0;
      }
      tvix-store-paths {
        flex: 1;
        min-height: 8rem;
        border: 1px solid var(--line);
        border-radius: 5px;
        overflow: hidden;
      }
      .check {
        display: flex;
        align-items: center;
        gap: 0.5rem;
      }
      .actions {
        display: flex;
        flex-wrap: wrap;
        align-items: center;
        justify-content: space-between;
        gap: 0.5rem;
      }
    `,
  ];

  /** Switches to pushing, with `storePath` chosen. */
  offerPush(storePath: string): void {
    this.direction = "push";
    this.toPush = new Set([storePath]);
  }

  /** Switches to pulling, with `storePath` filled in. */
  offerPull(storePath: string): void {
    this.direction = "pull";
    this.typed = storePath;
  }

  protected override willUpdate(changed: PropertyValues): void {
    if (changed.has("daemon")) this.#form.suggest(this.daemon);
    if (changed.has("paths")) {
      const here = new Set(this.paths.map(({ storePath }) => storePath));
      if ([...this.toPush].some((path) => !here.has(path)))
        this.toPush = new Set([...this.toPush].filter((path) => here.has(path)));
    }
  }

  override render(): TemplateResult {
    const busy = this.#form.asks || this.#transfer.running;
    const pulling = this.direction === "pull";
    return html`
      <div class="stack">
        ${this.#form.render(busy || !this.store)}
        <div class="group" role="group" aria-label="Direction">
          ${this.#directionButton("pull", "Pull from daemon")} ${this.#directionButton("push", "Push to daemon")}
        </div>
        <div class="pane">${pulling ? this.#pullPane() : this.#pushPane()}</div>
        <div class="actions">
          <label class="check">
            <input
              type="checkbox"
              .checked=${this.closure}
              @change=${(event: Event) => {
                this.closure = (event.target as HTMLInputElement).checked;
              }}
            />
            With all their dependencies
          </label>
          ${
            pulling
              ? html`<button type="button" class="primary" ?disabled=${busy || !this.store || this.#wanted().length === 0} @click=${this.#pull}>
                ${verb("Pull", this.#wanted().length)}
              </button>`
              : html`<button type="button" class="primary" ?disabled=${busy || !this.store || this.toPush.size === 0} @click=${this.#push}>
                ${verb("Push", this.toPush.size)}
              </button>`
          }
        </div>
        <div>${this.#transfer.render()}</div>
      </div>
    `;
  }

  #directionButton(direction: Direction, label: string): TemplateResult {
    return html`<button
      type="button"
      aria-pressed=${this.direction === direction ? "true" : "false"}
      @click=${() => {
        this.direction = direction;
      }}
    >
      ${label}
    </button>`;
  }

  #pullPane(): TemplateResult {
    const fault = this.typed.trim() !== "" && typedPath(this.typed) === undefined;
    const here = new Map(this.paths.map(({ storePath }) => [storePath, "here"]));
    return html`
      <div class="field">
        <label for="typed">Store path, or its hash</label>
        <input
          id="typed"
          class="mono"
          autocomplete="off"
          autocapitalize="off"
          spellcheck="false"
          placeholder="/nix/store/…"
          aria-invalid=${fault ? "true" : "false"}
          aria-describedby="typed-fault"
          .value=${this.typed}
          @input=${(event: InputEvent) => {
            this.typed = (event.target as HTMLInputElement).value;
          }}
        />
        <p class="fault" id="typed-fault" aria-live="polite">${fault ? "This is not a store path." : ""}</p>
      </div>
      ${
        this.#form.paths
          ? html`<tvix-store-paths
              label="Paths of the daemon"
              multiple
              .paths=${this.#form.paths}
              .chosen=${this.toPull}
              .marks=${here}
              @tvix-choose=${(event: CustomEvent<{ chosen: ReadonlySet<string> }>) => {
                this.toPull = event.detail.chosen;
              }}
            ></tvix-store-paths>`
          : html`<p class="hint">Or list the paths of the daemon, and choose some.</p>`
      }
    `;
  }

  #pushPane(): TemplateResult {
    const there = new Map((this.#form.paths ?? []).map(({ storePath }) => [storePath, "there"]));
    return html`<tvix-store-paths
      label="Paths to push"
      multiple
      .paths=${this.paths}
      .chosen=${this.toPush}
      .marks=${there}
      @tvix-choose=${(event: CustomEvent<{ chosen: ReadonlySet<string> }>) => {
        this.toPush = event.detail.chosen;
      }}
    ></tvix-store-paths>`;
  }

  #wanted(): string[] {
    const typed = typedPath(this.typed);
    return typed === undefined ? [...this.toPull] : [...new Set([...this.toPull, typed])];
  }

  readonly #pull = (): Promise<boolean> =>
    this.#transfer.run(
      "Pulling",
      async (options) => {
        const store = this.#open();
        const report = await store.pull(this.#form.remote(), this.#wanted(), { closure: this.closure, ...options });
        this.toPull = new Set();
        this.typed = "";
        if (report.paths > 0)
          this.dispatchEvent(new CustomEvent("tvix-pulled", { detail: { paths: report.paths }, bubbles: true, composed: true }));
        return summary("Pulled", report);
      },
      PATHS_STAY,
    );

  readonly #push = (): Promise<boolean> =>
    this.#transfer.run(
      "Pushing",
      async (options) => {
        const store = this.#open();
        const report = await store.push(this.#form.remote(), this.toPush, { closure: this.closure, ...options });
        return summary("Pushed", report);
      },
      "Cancelled. The daemon keeps the store paths that were complete by then.",
    );

  #open(): Store {
    if (!this.store) throw new Error("no store is open");
    return this.store;
  }
}

function verb(word: string, count: number): string {
  return count === 0 ? word : `${word} ${plural(count, "path")}`;
}

function summary(done: string, { paths, objects, bytes, reused }: SyncReport): string {
  if (paths === 0) return "Nothing to do: everything was there already.";
  const moved = `${done} ${plural(paths, "path")}: ${plural(objects, "object")}, ${showSize(bytes)}.`;
  return reused > 0 ? `${moved} ${plural(reused, "object")} there already.` : moved;
}

/** Returns the typed text if it is a store path or its hash. */
function typedPath(text: string): string | undefined {
  try {
    parseHashPart(text.trim());
    return text.trim();
  } catch {
    return undefined;
  }
}
