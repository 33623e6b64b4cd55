/**
 * Messages between the controller and its pages: JSON over HTTP. A driver's connection would be one
 * more thing that may survive a kill.
 */

import type { Observed, Space } from "./checker.ts";
import type { Action } from "./operation.ts";

export type Storage = "opfs" | "indexeddb";

export interface Step {
  readonly id: number;
  readonly action: Action;
}

export type Command =
  | { readonly kind: "open"; readonly name: string; readonly storage: Storage }
  /** Opens another tab with this URL. */
  | { readonly kind: "tab"; readonly url: string }
  /** Renders all listed paths, and looks up `ask` with `pathInfo()` too. */
  | { readonly kind: "check"; readonly ask: readonly string[] }
  /** Runs all lanes concurrently. The steps of a lane run one after the other. */
  | { readonly kind: "run"; readonly lanes: readonly (readonly Step[])[] }
  | { readonly kind: "collect" }
  | { readonly kind: "empty" }
  /** Closes the store, then measures its space. */
  | { readonly kind: "space" };

export interface Opened {
  /** Which of the newer functions the store has. */
  readonly verify: boolean;
  readonly usage: boolean;
  /** `usage().storage`, if the store has `usage()`. */
  readonly storage?: string | undefined;
}

export interface Results {
  open: Opened;
  tab: null;
  check: Observed;
  run: null;
  collect: null;
  empty: null;
  space: Space;
}

/** Results of commands, and events while a command runs. */
export type Message =
  | { readonly kind: "result"; readonly value: unknown }
  | { readonly kind: "error"; readonly reason: string }
  | { readonly kind: "started"; readonly id: number }
  | { readonly kind: "acknowledged"; readonly id: number }
  /** The promise was rejected, or resolved to a wrong result. */
  | { readonly kind: "failed"; readonly id: number; readonly reason: string };
