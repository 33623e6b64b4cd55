import { html, type LitElement, nothing, type ReactiveController, type TemplateResult } from "lit";
import type { Store } from "../browser/store.ts";
import { STORE_PANELS } from "./store-panels/registry.ts";
import type { PanelContext, StorePanel } from "./store-panels/store-panel.ts";

/** The panels of the viewer and their buttons. At most one panel is open. */
export class PanelSet implements ReactiveController {
  readonly #host: LitElement;
  #shown: StorePanel | undefined;
  /** Elements with a running operation, and their panels. */
  readonly #busy = new Map<EventTarget | null, StorePanel>();

  constructor(host: LitElement) {
    this.#host = host;
    host.addController(this);
  }

  hostConnected(): void {}

  /** The open panel. */
  get shown(): StorePanel | undefined {
    return this.#shown;
  }

  /** Opens a panel, or closes the open one. Leaves the focus where it is. */
  show(panel: StorePanel | undefined): void {
    this.#shown = panel;
    this.#host.requestUpdate();
  }

  /** Like `show`, but moves the focus into the panel, or back to the button of a closed one. */
  open(panel: StorePanel | undefined): void {
    const closed = this.#shown;
    this.show(panel);
    void this.#host.updateComplete.then(() => {
      const target = panel ? `#panel-${panel.name} .panel-head button` : `[aria-controls=panel-${closed?.name}]`;
      this.#host.renderRoot.querySelector<HTMLElement>(target)?.focus();
    });
  }

  renderButtons(store: Store | undefined): TemplateResult[] {
    return STORE_PANELS.map((panel) => this.#button(panel, store));
  }

  renderPanels(context: Omit<PanelContext, "shown">): TemplateResult[] {
    return STORE_PANELS.map((panel) => this.#panel(panel, panel.render({ ...context, shown: panel === this.#shown })));
  }

  #button(panel: StorePanel, store: Store | undefined): TemplateResult {
    const open = this.#shown === panel;
    const busy = [...this.#busy.values()].includes(panel);
    return html`<button
      type="button"
      aria-expanded=${open ? "true" : "false"}
      aria-controls="panel-${panel.name}"
      ?disabled=${!store}
      @click=${() => this.open(open ? undefined : panel)}
    >
      ${panel.button}${panel.warns?.(store) ? html`<span class="bad" role="img" aria-label="something was lost">!</span>` : nothing}${busy ? html`<span class="spinner" role="img" aria-label="under way"></span>` : nothing}
    </button>`;
  }

  /** Renders a panel. It stays in the page when it is closed, so that its operations go on. */
  #panel(panel: StorePanel, content: TemplateResult): TemplateResult {
    return html`
      <aside
        id="panel-${panel.name}"
        aria-label=${panel.title}
        ?hidden=${this.#shown !== panel}
        @keydown=${(event: KeyboardEvent) => {
          if (event.key === "Escape") this.open(undefined);
        }}
        @tvix-task=${(event: CustomEvent<{ running: boolean }>) => {
          if (event.detail.running) this.#busy.set(event.target, panel);
          else this.#busy.delete(event.target);
          this.#host.requestUpdate();
        }}
      >
        <div class="panel-head">
          <h2>${panel.title}</h2>
          <button type="button" class="plain" aria-label="Close" @click=${() => this.open(undefined)}>✕</button>
        </div>
        <div class="panel-body">${content}</div>
      </aside>
    `;
  }
}
