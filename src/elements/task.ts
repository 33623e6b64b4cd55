import { html, nothing, type ReactiveController, type ReactiveControllerHost, type TemplateResult } from "lit";
import type { OperationOptions, Progress } from "../progress.ts";
import { describeFailure } from "./failure.ts";
import { showCount, showSize } from "./size.ts";

/** What to say of an operation that was cancelled, if all or nothing of it is done. */
export const AS_IT_WAS = "Cancelled; the store is as it was.";
/** If it stores one path after the other. */
export const PATHS_STAY = "Cancelled. Store paths that had come whole by then are kept.";

/** If it saves a file. */
export const NOT_SAVED = "Cancelled; nothing was saved.";

export type TaskState = "idle" | "running" | "done" | "failed" | "cancelled";

/** A long operation that a reader starts, watches and may cancel; one at a time. */
export class Task implements ReactiveController {
  state: TaskState = "idle";
  /** What is being done, or what came of it. */
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
   * Runs `operation`, which gives the message that stays when it is done. Never rejects: what fails is shown.
   *
   * @param whenCancelled what to say then: what was done by then may stay
   * @returns whether it was done
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

  /** Forgets what came of the last run. */
  clear(): void {
    if (!this.running) this.#become("idle", "");
  }

  /** A bar while it runs, then the outcome. Changes of state and phase are announced, each step of the bar is not. */
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
    // Progress may be told far more often than a screen shows it.
    this.#frame ??= requestAnimationFrame(() => {
      this.#frame = undefined;
      this.#host.requestUpdate();
    });
  }
}

function amount(progress: Progress | undefined): string {
  if (!progress) return "";
  const { loaded, total } = progress;
  const show = COUNTED.test(progress.phase) ? showCount : showSize;
  return total ? `${show(loaded)} of ${show(total)}` : loaded > 0 ? show(loaded) : "";
}

/** Phases that count objects and not bytes. */
const COUNTED = /object|marking|path|director|entr|list|file|comparing|looking/i;
