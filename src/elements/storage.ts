import { css, html, LitElement, nothing, type PropertyValues, type TemplateResult } from "lit";
import { connectRemote } from "../browser/remote.ts";
import type { Store } from "../browser/store.ts";
import type { VerifyReport } from "../thread/maintenance-api.ts";
import { recallDaemon } from "./remembered-daemon.ts";
import { saveStream } from "./save.ts";
import { plural, showSize } from "./size.ts";
import { figuresStyle, storageFigures } from "./storage-figures.ts";
import { lossWarnings } from "./storage-losses.ts";
import { CurrentUsage } from "./storage-usage.ts";
import { AS_IT_WAS, NOT_SAVED, Task } from "./task.ts";
import { controls, theme } from "./theme.ts";
import { isWhole, verifyResult, verifyStyle } from "./verify-result.ts";

/**
 * Shows the storage that a store uses, whether the browser keeps it, and whether it is damaged.
 * Offers garbage collection and repair.
 */
export class TvixStoreStorage extends LitElement {
  static override properties = {
    store: { attribute: false },
    daemon: {},
    paused: { type: Boolean },
    report: { state: true },
    outcome: { state: true },
    restored: { state: true },
    persistAnswer: { state: true },
  };

  declare store: Store | undefined;
  /**
   * Address of the daemon for repairs, unless the reader has used another daemon before; empty
   * for none.
   */
  declare daemon: string;
  /** Whether the element is hidden; it then does not measure the storage. */
  declare paused: boolean;
  declare private report: VerifyReport | undefined;
  /** Outcome of fetching damaged objects again, or of restoring lost packs. */
  declare private outcome: string;
  /** Whether lost packs were restored. */
  declare private restored: boolean;
  /** Outcome of asking the browser to keep the store. */
  declare private persistAnswer: string;
  readonly #usage = new CurrentUsage(this);
  readonly #task = new Task(this);

  constructor() {
    super();
    this.daemon = "";
    this.paused = false;
    this.outcome = "";
    this.restored = false;
    this.persistAnswer = "";
  }

  static override styles = [
    theme,
    controls,
    figuresStyle,
    verifyStyle,
    css`
      .sheet {
        display: grid;
        grid-template-columns: minmax(0, 1fr);
        gap: 1.1rem;
      }
      h3 {
        font-size: 0.875rem;
        font-weight: 600;
      }
      section.stack {
        gap: 0.5rem;
        padding-top: 1rem;
        border-top: 1px solid var(--line);
      }
      .outcome {
        display: grid;
        grid-template-columns: minmax(0, 1fr);
        gap: 0.6rem;
      }
    `,
  ];

  protected override willUpdate(changed: PropertyValues): void {
    if (changed.has("store")) {
      this.#task.cancel();
      this.report = undefined;
      this.outcome = "";
      this.restored = false;
      this.persistAnswer = "";
    }
    if (changed.has("store") || changed.has("paused")) this.#usage.follow(this.store, this.paused);
  }

  override render(): TemplateResult {
    const { usage, fault } = this.#usage;
    const idle = this.store !== undefined && !this.#task.running;
    return html`
      <div class="sheet">
        ${lossWarnings(this.store, {
          whole: this.report !== undefined && isWhole(this.report),
          restored: this.restored,
          restore: html`<button type="button" class="primary" ?disabled=${!idle} @click=${this.#restore}>Restore</button>`,
        })}
        ${fault ? html`<p class="notice failed" role="alert">${fault}</p>` : nothing}
        ${storageFigures(this.store?.storage, usage)}
        <section class="stack" aria-labelledby="keeping">
          <h3 id="keeping">When space runs low</h3>
          <p role="status">${this.#promise(usage?.persisted)}</p>
          <div class="row">
            <button type="button" ?disabled=${!this.store || usage?.persisted !== false} @click=${this.#persist}>Ask to keep</button>
          </div>
        </section>
        <section class="stack" aria-labelledby="saving">
          <h3 id="saving">All store paths in one file</h3>
          <div class="row">
            <button type="button" ?disabled=${!idle || usage?.storePaths === 0} @click=${this.#save}>Save all store paths…</button>
          </div>
          <p class="hint">
            The file is a nario, which includes signatures. <code>nix-store --import</code> and Import on this page can read it.
          </p>
        </section>
        <section class="stack" aria-labelledby="care">
          <h3 id="care">Maintenance</h3>
          <div class="row">
            <button type="button" ?disabled=${!idle} @click=${this.#collect}>Collect garbage</button>
            <button type="button" ?disabled=${!idle} @click=${this.#check}>Check everything</button>
          </div>
          <p class="hint">
            Collecting garbage deletes everything that no store path and no pin needs. Checking reads everything that is stored, and
            compares it with its digests.
          </p>
          <div class="outcome">
            ${this.#task.render()}
            ${this.outcome && !this.#task.running ? html`<p class="notice" role="status">${this.outcome}</p>` : nothing}
            ${this.report && !this.#task.running ? verifyResult(this.report, this.#repairOffer()) : nothing}
          </div>
        </section>
      </div>
    `;
  }

  #promise(persisted: boolean | undefined): string {
    if (persisted) return "The browser has promised to keep this store.";
    if (this.persistAnswer) return this.persistAnswer;
    if (persisted === false) return "The browser may delete this store.";
    return this.#usage.usage ? "This browser does not tell whether it keeps this store." : "…";
  }

  #repairOffer(): TemplateResult | typeof nothing {
    const { address } = this.#daemon();
    if (!address) return nothing;
    return html`
      <div class="row">
        <button type="button" class="primary" @click=${this.#fetchAgain}>Fetch again from the daemon</button>
        <span class="mono dim">${address}</span>
      </div>
    `;
  }

  #daemon(): { address: string; protocol: "connect" | "grpc-web" } {
    return (this.daemon && recallDaemon()) || { address: this.daemon, protocol: "connect" };
  }

  readonly #persist = async (): Promise<void> => {
    const promised = await this.store?.persist().catch(() => false);
    this.persistAnswer = promised
      ? ""
      : "The browser did not promise to keep this store. It may do so later, if you visit this page often or install it.";
    await this.#usage.refresh();
  };

  readonly #collect = (): Promise<boolean> =>
    this.#start(
      "Collecting garbage",
      async (store, options) => {
        const { objects, bytes } = await store.collectGarbage(options);
        return objects === 0 ? "There was no garbage." : `Freed ${showSize(bytes)}: ${plural(objects, "object")}.`;
      },
      "Cancelled. Only garbage was deleted by then.",
    );

  readonly #save = (): Promise<boolean> =>
    this.#start(
      "Saving all store paths",
      async (store, options) => {
        const { storePaths, logical } = this.#usage.usage ?? (await store.usage());
        const saved = await saveStream("store.nario", logical, () => store.nario(), options);
        return saved ? `Saved ${plural(storePaths, "store path")}.` : "Not saved.";
      },
      NOT_SAVED,
    );

  readonly #check = (): Promise<boolean> =>
    this.#start(
      "Checking everything",
      async (store, options) => {
        this.report = await store.verify(options);
        return "";
      },
      AS_IT_WAS,
    );

  readonly #restore = (): Promise<boolean> =>
    this.#start(
      "Restoring lost packs",
      async (store, options) => {
        const { storePaths, objects, damaged, incomplete } = await store.repair(options);
        this.restored = true;
        const lost = [plural(damaged.length, "damaged object"), plural(incomplete.length, "incomplete store path")];
        const rest = damaged.length + incomplete.length > 0 ? ` Lost: ${lost.join(", ")}.` : "";
        return `Restored ${plural(storePaths.length, "store path")} and ${plural(objects, "object")}.${rest}`;
      },
      AS_IT_WAS,
    );

  readonly #fetchAgain = (): Promise<boolean> =>
    this.#start(
      "Fetching again",
      async (store, options) => {
        const { address, protocol } = this.#daemon();
        const remote = connectRemote(address, { protocol });
        const { storePaths, refetched } = await store.verify({ ...options, remote });
        this.outcome = `Fetched again: ${refetched} of ${plural(storePaths.length, "store path")}.`;
        // The report lists the earlier damage. The reader wants to know the present state.
        this.report = await store.verify(options);
        return "";
      },
      // All fetched objects become visible at once.
      () => (this.outcome ? "Cancelled. The fetched data is kept." : AS_IT_WAS),
    );

  async #start(
    message: string,
    operation: (store: Store, options: Parameters<Parameters<Task["run"]>[1]>[0]) => Promise<string>,
    whenCancelled: Parameters<Task["run"]>[2],
  ): Promise<boolean> {
    const { store } = this;
    if (!store) return false;
    this.outcome = "";
    const before = this.report;
    this.report = undefined;
    const done = await this.#task.run(message, (options) => operation(store, options), whenCancelled);
    // The earlier report is still true if nothing was changed.
    if (!done && !this.outcome && this.store === store) this.report ??= before;
    void this.#usage.refresh();
    return done;
  }
}
