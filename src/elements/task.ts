import { html, nothing, type ReactiveController, type ReactiveControllerHost, type TemplateResult } from "lit";
import type { OperationOptions, Progress, ProgressUnit } from "../progress.ts";
import { describeFailure } from "./failure.ts";
import { showCount, showSize } from "./size.ts";

/**
 * Message after the cancellation of an operation that changes the store completely or not at all.
 */
export const AS_IT_WAS = "Cancelled. The store is unchanged.";
/** Message after the cancellation of an operation that stores one path after the other. */
export const PATHS_STAY = "Cancelled. Store paths that were complete by then are kept.";

/** Message after the cancellation of an operation that saves a file. */
export const NOT_SAVED = "Cancelled. Nothing was saved.";

export type TaskState = "idle" | "running" | "done" | "failed" | "cancelled";

/** A long operation that the reader starts, watches and can cancel. Only one runs at a time. */
export class Task implements ReactiveController {
  state: TaskState = "idle";
  /** Name of the running operation, or the outcome of the last one. */
  message = "";
  progress: Progress | undefined;
  readonly #host: ReactiveControllerHost & HTMLElement;
  #controller: AbortController | undefined;
  #frame: number | undefined;

  constructor(host: ReactiveControllerHost & HTMLElement) {
    this.#host = host;
    host.addController(this);
  }

  hostConnected(): void {}

  hostDisconnected(): void {
    this.cancel();
  }

  get running(): boolean {
    return this.state === "running";
  }

  /**
   * Runs `operation`, and shows the message to which it resolves. Never rejects: shows a failure
   * instead.
   *
   * @param whenCancelled message after a cancellation; it tells what stays of the operation
   * @returns whether the operation succeeded
   */
  async run(
    message: string,
    operation: (options: Required<OperationOptions>) => Promise<string>,
    whenCancelled: string | (() => string),
  ): Promise<boolean> {
    if (this.running) return false;
    const controller = new AbortController();
    this.#controller = controller;
    this.#become("running", message);
    try {
      this.#become("done", await operation({ signal: controller.signal, onProgress: (progress) => this.#advance(progress) }));
      return true;
    } catch (error) {
      const cancelled = controller.signal.aborted || (error instanceof DOMException && error.name === "AbortError");
      if (cancelled) this.#become("cancelled", typeof whenCancelled === "string" ? whenCancelled : whenCancelled());
      else this.#become("failed", describeFailure(error));
      return false;
    }
  }

  cancel(): void {
    this.#controller?.abort();
  }

  /** Clears the outcome of the last run. */
  clear(): void {
    if (!this.running) this.#become("idle", "");
  }

  /**
   * Renders a progress bar while the operation runs, then its outcome. Screen readers announce
   * changes of state and phase, but not each step of the bar.
   */
  render(): TemplateResult {
    return html`
      <div class="task" aria-live=${this.state === "failed" ? "assertive" : "polite"}>
        ${
          this.message === "" || this.running
            ? nothing
            : html`<p class="notice ${this.state}" role=${this.state === "failed" ? "alert" : "status"}>${this.message}</p>`
        }
        ${this.running ? html`<p class="visually-hidden">${this.message} ${this.progress?.phase ?? ""}</p>` : nothing}
      </div>
      ${this.running ? this.#bar() : nothing}
    `;
  }

  #bar(): TemplateResult {
    const { phase = "", loaded = 0, total } = this.progress ?? {};
    return html`
      <div class="running">
        <div class="row">
          <span class="grow"><span>${this.message}</span> <span class="dim">${phase} ${amount(this.progress)}</span></span>
          <button type="button" @click=${() => this.cancel()}>Cancel</button>
        </div>
        ${
          total && loaded < total
            ? html`<progress aria-label=${this.message} max=${total} .value=${Math.min(loaded, total)}></progress>`
            : html`<progress aria-label=${this.message}></progress>`
        }
      </div>
    `;
  }

  #become(state: TaskState, message: string): void {
    this.state = state;
    this.message = message;
    this.progress = undefined;
    this.#host.requestUpdate();
    this.#host.dispatchEvent(new CustomEvent("tvix-task", { detail: { running: this.running }, bubbles: true, composed: true }));
  }

  #advance(progress: Progress): void {
    this.progress = progress;
    // Progress may be reported far more often than a screen can show it.
    this.#frame ??= requestAnimationFrame(() => {
      this.#frame = undefined;
      this.#host.requestUpdate();
    });
  }
}

function amount(progress: Progress | undefined): string {
  if (!progress) return "";
  const { unit, loaded, total } = progress;
  const show = SHOW_AMOUNT[unit];
  return total ? `${show(loaded)} of ${show(total)}` : loaded > 0 ? show(loaded) : "";
}

const SHOW_AMOUNT: Readonly<Record<ProgressUnit, (amount: number) => string>> = {
  bytes: showSize,
  objects: showCount,
  paths: showCount,
  none: () => "",
};
