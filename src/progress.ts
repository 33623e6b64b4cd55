/** Options of every long operation. */
export interface OperationOptions {
  /** Aborts the operation, which then rejects with `signal.reason`. */
  signal?: AbortSignal | undefined;
  onProgress?: ProgressCallback | undefined;
}

export type ProgressCallback = (progress: Progress) => void;

export interface Progress {
  /** The current step, for example `reading`, `hashing` or `copying`. */
  phase: string;
  /**
   * Progress in bytes, or in objects if the phase counts objects. Never decreases within a phase.
   */
  loaded: number;
  /** Final value of `loaded`; `undefined` while it is unknown. */
  total?: number | undefined;
}
