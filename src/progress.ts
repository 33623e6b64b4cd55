/** What long operations take, and tell. */
export interface OperationOptions {
  /** Ends the operation; it then rejects with `signal.reason`. */
  signal?: AbortSignal | undefined;
  onProgress?: ProgressCallback | undefined;
}

export type ProgressCallback = (progress: Progress) => void;

export interface Progress {
  /** What is being done, for example `reading`, `hashing`, `pulling`. */
  phase: string;
  /** How far: bytes, or objects where the phase counts objects. Never falls within a phase. */
  loaded: number;
  /** The same unit; `undefined` while it is not known. */
  total?: number | undefined;
}
