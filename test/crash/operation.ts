/** The operations of a page, and their results. */

export type Action =
  | {
      readonly kind: "import";
      readonly format: "nar" | "tar";
      readonly name: string;
      /** URL from which the page fetches the archive. */
      readonly url: string;
      readonly storePath: string;
    }
  | {
      readonly kind: "pull";
      /** URL of the daemon. */
      readonly remote: string;
      readonly storePath: string;
      /** The store path with all its dependencies. */
      readonly closure: readonly string[];
    }
  | { readonly kind: "delete"; readonly storePath: string }
  | { readonly kind: "collect" };

export type Kind = Action["kind"];
export const KINDS: readonly Kind[] = ["import", "pull", "delete", "collect"];

/**
 * One action of a page. Times are milliseconds of the controller's clock, when the page's message
 * arrived: that it begins, or that the promise resolved.
 */
export interface Operation {
  readonly id: number;
  readonly tab: number;
  readonly lane: number;
  readonly action: Action;
  readonly started: number;
  acknowledged?: number;
  /** Reason of the rejection. */
  failed?: string;
}

/** Returns the store paths that an action brings into the store. */
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
