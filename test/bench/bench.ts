/** What a benchmark is, and what it tells. One is a file `NAME.bench.ts` here that exports a `Bench` as `bench`. */

export type Runtime = "chromium" | "firefox" | "node";
export const RUNTIMES: readonly Runtime[] = ["chromium", "firefox", "node"];

/** The library, where contenders are named. */
export const OURS = "tvix-store-web";

export type Bench = ScriptedBench | DrivenBench;

interface Promising {
  readonly requirements: readonly Requirement[];
  /** Requirements that hold, or don't, without a run. */
  facts(): readonly Outcome[];
}

/** Cases that one script runs by itself, in each runtime. */
export interface ScriptedBench extends Promising {
  /** The script of the dedicated worker that runs the cases in a page. Sources are named from the repository's root. */
  readonly worker: string;
  /** The script of the thread that runs them in Node. */
  readonly node: string;
  /** Further scripts, by the name under which the page's server has them. */
  readonly scripts: Readonly<Record<string, string>>;
}

/** Cases that need to be driven from outside, because browsers are closed, or native programs run between. */
export interface DrivenBench extends Promising {
  /** Where ours runs, and where the requirements are. */
  readonly runtime: "chromium" | "node";
  /** @param root the repository */
  drive(options: Options, root: string, report: (finding: Finding) => void): Promise<Driven>;
}

export interface Driven {
  /** Chromium's version, if it took part. */
  readonly chromium?: string;
  /** What was found to hold or not, besides figures. */
  readonly checks: readonly Outcome[];
}

/** What is given to a script as its options: in its URL, or as its thread's data. */
export interface Options {
  /** Only cases whose names contain it. */
  readonly filter: string;
  /** And not those whose names contain this. */
  readonly skip?: string | undefined;
  readonly rounds: number;
}

export function isWanted(name: string, { filter, skip }: Pick<Options, "filter" | "skip">): boolean {
  return name.includes(filter) && !(skip !== undefined && name.includes(skip));
}

export type Finding =
  | { readonly kind: "row"; readonly row: Omit<Row, "runtime"> }
  | { readonly kind: "note"; readonly text: string };

/** What a script reports, in this order: any number of rows and notes, then an end. */
export type Message = Finding | { readonly kind: "done" } | { readonly kind: "failed"; readonly reason: string };

/** Of speeds more is better, of all others less. MB are 10^6 bytes. */
export type Unit = "MB/s" | "files/s" | "s" | "ms" | "µs/file" | "MiB" | "%";

export interface Row {
  readonly case: string;
  readonly runtime: Runtime;
  readonly workers: number;
  /** `tvix-store-web`, a package's name, or what else is compared. */
  readonly contender: string;
  readonly median: number;
  readonly unit: Unit;
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

/** A limit, in Chromium unless the benchmark runs elsewhere. */
export type Requirement =
  /**
   * Our median is at least `ratio` times another one of the case: a peer's, or ours with one worker. Of several it is the least one,
   * so that of parts it is the slowest.
   */
  | { readonly case: string; readonly against: string | readonly string[]; readonly ratio: number }
  /** Our median is at most `times` that of another contender, or that of ours in another case. */
  | { readonly case: string; readonly against: string; readonly times: number }
  | { readonly case: string; readonly againstCase: string; readonly times: number }
  /** Our median is at most, or at least, this, in the case's unit. */
  | { readonly case: string; readonly atMost: number }
  | { readonly case: string; readonly atLeast: number };

export interface Outcome {
  readonly text: string;
  readonly met: boolean;
}
