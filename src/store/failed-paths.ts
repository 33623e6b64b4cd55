import { StoreError } from "../error.ts";

/** The result of an operation on many store paths. */
export interface PathsReport {
  /** Store paths that were added to the target. */
  paths: number;
  /** Bytes of the NARs of these paths, or of the blobs that were transferred. */
  bytes: number;
  /** Requested store paths that the target already had. */
  reused: number;
  /** Requests that were retried after a temporary failure. */
  retried: number;
  /** Store paths that are still missing from the target. */
  failed: number;
}

export interface FailedPath {
  /** Absolute path; the requested form of the path if the absolute path is unknown. */
  readonly storePath: string;
  readonly error: StoreError;
  /**
   * The path that failed first. This path depends on it, directly or indirectly. `undefined` if
   * this path itself failed.
   */
  readonly because?: string | undefined;
}

/** Failures that the message describes. It only counts the others. */
const TOLD = 3;

/**
 * Some store paths failed. All paths that don't depend on a failed one are at the target.
 * `failures` lists dependencies first. The error's code is that of the first failure.
 */
export class FailedPathsError extends StoreError {
  readonly failures: readonly FailedPath[];
  readonly report: PathsReport;

  /** @param failures at least one */
  constructor(failures: readonly FailedPath[], report: PathsReport) {
    const first = failures[0]?.error;
    super(first?.code ?? "internal", summary(failures, report), { cause: first });
    this.failures = failures;
    this.report = report;
  }
}

function summary(failures: readonly FailedPath[], { paths, reused, failed }: PathsReport): string {
  const reasons = failures.filter(({ because }) => because === undefined).map(describeFailedPath);
  if (failures.length === 1) return reasons.join();
  const told = reasons.slice(0, TOLD).join("; ");
  const more = reasons.length > TOLD ? `; and ${reasons.length - TOLD} more` : "";
  const blocked = failures.length - reasons.length;
  const others = blocked > 0 ? `. ${blocked} of them depend on a path that failed` : "";
  return `${failed} of ${paths + reused + failed} store paths failed: ${told}${more}${others}`;
}

/** Returns one line that names the path and the error. */
export function describeFailedPath({ storePath, error }: FailedPath): string {
  return error.message.includes(storePath) ? error.message : `${storePath}: ${error.message}`;
}
