import type { CSSResult, TemplateResult } from "lit";
import type { Store } from "../../browser/store.ts";
import type { PathInfo } from "../../store/path-info.ts";
import type { Route } from "../route.ts";

/** The store path that a view shows, and its surroundings. */
export interface ShownPath {
  readonly store: Store | undefined;
  readonly info: PathInfo;
  /** Path of the open file or directory within the store path; empty for its root. */
  readonly path: Uint8Array;
  /** Path infos of the store that are known so far. */
  readonly paths: readonly PathInfo[];
  /** Goes to another place in the viewer. */
  readonly go: (route: Route) => void;
}

/**
 * A way to show a store path, as a tab of the viewer. `registry.ts` lists all views;
 * CONTRIBUTING.md tells how to add one.
 */
export interface PathView {
  /** Lower-case word that identifies the view, for example `files`. */
  readonly name: string;
  /** Text of the tab. */
  readonly label: string;
  /**
   * Styles of the view. All views are in the shadow root of the viewer, so each selector starts
   * with `.view-<name>`. The element around the view has this class.
   */
  readonly styles?: CSSResult;
  /** Whether the view suits the store path. Must be fast, and must not throw. */
  accepts(info: PathInfo): boolean;
  render(shown: ShownPath): TemplateResult;
}
