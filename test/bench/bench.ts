/**
 * The types of a benchmark and its results. Each benchmark is a file `NAME.bench.ts` in this
 * directory that exports a `Bench` as `bench`.
 */

export type Runtime = "chromium" | "firefox" | "node";
export const RUNTIMES: readonly Runtime[] = ["chromium", "firefox", "node"];

/** The library's name as a contender. */
export const OURS = "tvix-store-web";

export type Bench = ScriptedBench | DrivenBench;

interface Promising {
  readonly requirements: readonly Requirement[];
  /** Requirements that can be checked without a run. */
  facts(): readonly Outcome[];
}

/** A benchmark whose cases one script runs by itself, in each runtime. */
export interface ScriptedBench extends Promising {
  /**
   * Script of the dedicated worker that runs the cases in a page. Paths are relative to the
   * repository's root.
   */
  readonly worker: string;
  /** Script of the thread that runs the cases in Node. */
  readonly node: string;
  /** Further scripts, by their names on the page's server. */
  readonly scripts: Readonly<Record<string, string>>;
  /**
   * Makes the files that the scripts read, by their names. The page's server serves them. In Node,
   * they lie beside the thread's script.
   */
  files?(options: Options): Promise<ReadonlyMap<string, Uint8Array>>;
}

/**
 * A benchmark that is driven from outside, because it restarts browsers or runs native programs
 * between its measurements.
 */
export interface DrivenBench extends Promising {
  /** Runtime of our library, and of the requirements. */
  readonly runtime: "chromium" | "node";
  /**
   * @param root root of the repository
   */
  drive(options: Options, root: string, report: (finding: Finding) => void): Promise<Driven>;
}

export interface Driven {
  /** Version of Chromium, if it was used. */
  readonly chromium?: string;
  /** Results of checks that are not measurements. */
  readonly checks: readonly Outcome[];
}

/** Options of a script, passed in its URL or as its thread's data. */
export interface Options {
  /** Text that the names of cases must contain. */
  readonly filter: string;
  /** Text that the names of cases must not contain. */
  readonly skip?: string | undefined;
  readonly rounds: number;
}

export function isWanted(name: string, { filter, skip }: Pick<Options, "filter" | "skip">): boolean {
  return name.includes(filter) && !(skip !== undefined && name.includes(skip));
}

export type Finding =
  | { readonly kind: "row"; readonly row: Omit<Row, "runtime"> }
  | { readonly kind: "note"; readonly text: string };

/** Message of a script. It sends any number of rows and notes, and then `done` or `failed`. */
export type Message = Finding | { readonly kind: "done" } | { readonly kind: "failed"; readonly reason: string };

/**
 * Unit of a row. Larger is better for rates (MB/s, files/s), smaller for all others. 1 MB is 10^6
 * bytes.
 */
export type Unit = "MB/s" | "files/s" | "s" | "ms" | "µs/file" | "MiB" | "%";

export interface Row {
  readonly case: string;
  readonly runtime: Runtime;
  readonly workers: number;
  /** `tvix-store-web`, the name of a package, or another name of what it is compared with. */
  readonly contender: string;
  readonly median: number;
  /** Smallest and largest measurement. Only driven benchmarks report them. */
  readonly minimum?: number;
  readonly maximum?: number;
  readonly unit: Unit;
  /** Number of measurements behind the median. */
  readonly runs: number;
}

/** Content of `results/NAME.json`. */
export interface Report {
  readonly machine: Machine;
  /** Time of the run, in ISO 8601. */
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

/** A limit for our median. It applies to Chromium unless the benchmark runs elsewhere. */
export type Requirement =
  /**
   * Our median is at least `ratio` times the median of another contender in the case: a peer, or
   * ours with one worker. With several contenders, the slowest one counts.
   */
  | { readonly case: string; readonly against: string | readonly string[]; readonly ratio: number }
  /**
   * Our median is at most `times` the median of another contender, or of ours in another case. With
   * `best`, the other contender's minimum counts instead: its figures vary too much for a median.
   */
  | { readonly case: string; readonly against: string; readonly times: number; readonly best?: boolean }
  | { readonly case: string; readonly againstCase: string; readonly times: number }
  /** Our median is at most, or at least, this value in the case's unit. */
  | { readonly case: string; readonly atMost: number }
  | { readonly case: string; readonly atLeast: number };

export interface Outcome {
  readonly text: string;
  readonly met: boolean;
}
