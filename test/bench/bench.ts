/** What a benchmark is, and what it tells. One is a file `NAME.bench.ts` here that exports a `Bench` as `bench`. */

export type Runtime = "chromium" | "firefox" | "node";
export const RUNTIMES: readonly Runtime[] = ["chromium", "firefox", "node"];

/** The library, where contenders are named. */
export const OURS = "tvix-store-web";

export interface Bench {
  /** The script of the dedicated worker that runs the cases in a page. Sources are named from the repository's root. */
  readonly worker: string;
  /** The script of the thread that runs them in Node. */
  readonly node: string;
  /** Further scripts, by the name under which the page's server has them. */
  readonly scripts: Readonly<Record<string, string>>;
  readonly requirements: readonly Requirement[];
  /** Requirements that hold, or don't, without a run. */
  facts(): readonly Outcome[];
}

/** What is given to a script as its options: in its URL, or as its thread's data. */
export interface Options {
  /** Only cases whose names contain it. */
  readonly filter: string;
  readonly rounds: number;
}

/** What a script reports, in this order: any number of rows and notes, then an end. */
export type Message =
  | { readonly kind: "row"; readonly row: Omit<Row, "runtime"> }
  | { readonly kind: "note"; readonly text: string }
  | { readonly kind: "done" }
  | { readonly kind: "failed"; readonly reason: string };

export interface Row {
  readonly case: string;
  readonly runtime: Runtime;
  readonly workers: number;
  /** `tvix-store-web`, a package's name, or what else is compared. */
  readonly contender: string;
  readonly median: number;
  readonly unit: "MB/s" | "%";
  /** How many measurements the median is of. */
  readonly runs: number;
}

/** As it is in `results/NAME.json`. */
export interface Report {
  readonly machine: Machine;
  /** ISO 8601. */
  readonly date: string;
  readonly rows: readonly Row[];
}

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly platform: string;
  readonly node: string;
  readonly chromium?: string;
  readonly firefox?: string;
}

/** A limit, in Chromium. */
export type Requirement =
  /** Our median is at least `ratio` times another one of the case: a peer's, or ours with one worker. */
  | { readonly case: string; readonly against: string; readonly ratio: number }
  /** Our median is at most this, in the case's unit. */
  | { readonly case: string; readonly atMost: number };

export interface Outcome {
  readonly text: string;
  readonly met: boolean;
}
