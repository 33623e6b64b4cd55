/** What the controller and its pages say to each other: JSON over HTTP, because a driver's connection would be one more thing that may live on. */

import type { Observed, Space } from "./checker.ts";
import type { Action } from "./operation.ts";

export type Storage = "opfs" | "indexeddb";

export interface Step {
  readonly id: number;
  readonly action: Action;
}

export type Command =
  | { readonly kind: "open"; readonly name: string; readonly storage: Storage }
  /** Opens another tab, with this address. */
  | { readonly kind: "tab"; readonly url: string }
  /** Renders everything that is listed; asks `pathInfo()` for these too. */
  | { readonly kind: "check"; readonly ask: readonly string[] }
  /** Each lane's steps one after the other, the lanes at once. */
  | { readonly kind: "run"; readonly lanes: readonly (readonly Step[])[] }
  | { readonly kind: "collect" }
  | { readonly kind: "empty" }
  /** Closes the store, then measures. */
  | { readonly kind: "space" };

export interface Opened {
  /** Which of the newer calls the store has. */
  readonly verify: boolean;
  readonly usage: boolean;
  /** What it says of itself, if it does: `usage().storage`. */
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

/** Answers of a command, and what happens while one runs. */
export type Message =
  | { readonly kind: "result"; readonly value: unknown }
  | { readonly kind: "error"; readonly reason: string }
  | { readonly kind: "started"; readonly id: number }
  | { readonly kind: "acknowledged"; readonly id: number }
  /** @property result what the promise resolved to was not what was asked for */
  | { readonly kind: "failed"; readonly id: number; readonly reason: string };
