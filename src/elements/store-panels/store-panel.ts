import type { TemplateResult } from "lit";
import type { Store } from "../../browser/store.ts";
import type { PathInfo } from "../../store/path-info.ts";

/** The store that a panel acts on. */
export interface PanelContext {
  readonly store: Store | undefined;
  /** Path infos of the store that are known so far. */
  readonly paths: readonly PathInfo[];
  /** Address of the daemon to start with. */
  readonly daemon: string;
  /** Whether the reader sees the panel. */
  readonly shown: boolean;
}

/**
 * A panel of the viewer, which acts on the whole store. `registry.ts` lists all panels;
 * CONTRIBUTING.md tells how to add one.
 */
export interface StorePanel {
  /** Lower-case word that identifies the panel, for example `sync`. */
  readonly name: string;
  /** Text of the button that opens the panel. */
  readonly button: string;
  /** Title of the panel. */
  readonly title: string;
  /** Whether the button shows that the store lost something. */
  warns?(store: Store | undefined): boolean;
  /** Renders the content. The panel stays in the page while it is closed. */
  render(context: PanelContext): TemplateResult;
}
