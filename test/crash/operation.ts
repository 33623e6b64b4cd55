/** What a page is told to do, and what became of it. */

export type Action =
  | {
      readonly kind: "import";
      readonly format: "nar" | "tar";
      readonly name: string;
      /** Where the page gets the archive. */
      readonly url: string;
      readonly storePath: string;
    }
  | {
      readonly kind: "pull";
      /** Of the daemon. */
      readonly remote: string;
      readonly storePath: string;
      /** With all that it refers to. */
      readonly closure: readonly string[];
    }
  | { readonly kind: "delete"; readonly storePath: string }
  | { readonly kind: "collect" };

export type Kind = Action["kind"];
export const KINDS: readonly Kind[] = ["import", "pull", "delete", "collect"];

/** Times are milliseconds of the controller's clock: of the page's word that it begins, and of its word that the promise resolved. */
export interface Operation {
  readonly id: number;
  readonly tab: number;
  readonly lane: number;
  readonly action: Action;
  readonly started: number;
  acknowledged?: number;
  /** Why it was rejected. */
  failed?: string;
}

/** The store paths that it brings. */
export function brings(action: Action): readonly string[] {
  if (action.kind === "import") return [action.storePath];
  return action.kind === "pull" ? action.closure : [];
}

export function inFlight({ acknowledged, failed }: Operation): boolean {
  return acknowledged === undefined && failed === undefined;
}

export function told({ action, tab, lane, acknowledged, started, failed }: Operation): string {
  const what = action.kind === "collect" ? "collect" : `${action.kind} ${action.storePath}`;
  const end =
    acknowledged !== undefined
      ? `acknowledged after ${Math.round(acknowledged - started)} ms`
      : failed !== undefined
        ? `failed: ${failed}`
        : "in flight";
  return `tab ${tab} lane ${lane}: ${what} (${end})`;
}
