import { html, type LitElement, nothing, type ReactiveController, type TemplateResult } from "lit";
import { filesView } from "./path-views/files.ts";
import type { PathView, ShownPath } from "./path-views/path-view.ts";
import { pathViewsFor } from "./path-views/registry.ts";

/**
 * The views of the open store path as tabs. The chosen view is kept for the next store path; if it
 * does not accept that store path, the first view stands in.
 */
export class PathTabs implements ReactiveController {
  readonly #host: LitElement;
  #chosen: PathView = filesView;

  constructor(host: LitElement) {
    this.#host = host;
    host.addController(this);
  }

  hostConnected(): void {}

  /** Chooses the view of files, because the reader opened a file. */
  chooseFiles(): void {
    this.#choose(filesView);
  }

  /** Renders the tabs, and the store path in the chosen view. */
  render(shown: ShownPath): TemplateResult {
    const views = pathViewsFor(shown.info);
    const view = views.includes(this.#chosen) ? this.#chosen : views[0];
    return html`
      <div class="tabs" role="tablist" aria-label="Views" @keydown=${(event: KeyboardEvent) => this.#key(event, views, view)}>
        ${views.map((other) => this.#button(other, other === view))}
      </div>
      <div class="tab-panel view-${view?.name}" role="tabpanel" id="tab-panel" aria-labelledby="tab-${view?.name}">
        ${view?.render(shown) ?? nothing}
      </div>
    `;
  }

  #button(view: PathView, selected: boolean): TemplateResult {
    return html`<button
      type="button"
      role="tab"
      id="tab-${view.name}"
      aria-selected=${selected ? "true" : "false"}
      aria-controls="tab-panel"
      tabindex=${selected ? "0" : "-1"}
      @click=${() => this.#choose(view)}
    >
      ${view.label}
    </button>`;
  }

  #choose(view: PathView): void {
    this.#chosen = view;
    this.#host.requestUpdate();
  }

  async #key({ key }: KeyboardEvent, views: readonly PathView[], selected: PathView | undefined): Promise<void> {
    if (!selected || (key !== "ArrowLeft" && key !== "ArrowRight")) return;
    const step = key === "ArrowRight" ? 1 : -1;
    const next = views[(views.indexOf(selected) + step + views.length) % views.length];
    if (!next) return;
    this.#choose(next);
    await this.#host.updateComplete;
    this.#host.renderRoot.querySelector<HTMLElement>(`#tab-${next.name}`)?.focus();
  }
}
