/** Options of every long operation. */
export interface OperationOptions {
  /** Aborts the operation, which then rejects with `signal.reason`. */
  signal?: AbortSignal | undefined;
  onProgress?: ProgressCallback | undefined;
}

export type ProgressCallback = (progress: Progress) => void;

/**
 * The things that `Progress.loaded` counts. `objects` are stored chunks, blobs and directories.
 * `paths` are store paths. `none` is the unit of a step that only waits: its `loaded` stays 0.
 */
export type ProgressUnit = "bytes" | "objects" | "paths" | "none";

export interface Progress {
  /** The current step, for example `reading`, `hashing` or `copying`. */
  phase: string;
  /** The unit of `loaded` and `total`. It is the same for all reports of a phase. */
  unit: ProgressUnit;
  /** Amount done in this phase, in `unit`. Never decreases within a phase. */
  loaded: number;
  /** Final value of `loaded`; `undefined` while it is unknown. */
  total?: number | undefined;
}
