import { StoreError } from "../error.ts";

/** What came of an operation on many store paths. */
export interface PathsReport {
  /** Store paths that the target has now and had not before. */
  paths: number;
  /** Bytes of their NARs, or of the blobs that moved. */
  bytes: number;
  /** Store paths that were asked for and that the target had already. */
  reused: number;
  /** Requests that were repeated because they failed for a reason that may pass. */
  retried: number;
  /** Store paths that the target lacks still. */
  failed: number;
}

export interface FailedPath {
  /** Absolute; or as it was asked for, if no more is known of it. */
  readonly storePath: string;
  readonly error: StoreError;
  /** The path whose failure is the reason: this one refers to it, directly or not. */
  readonly because?: string | undefined;
}

/** Failures that the message tells; the others are counted. */
const TOLD = 3;

/**
 * Some store paths failed, and all that don't refer to them are there. It has the code of the first
 * failure in `failures`, where a path comes after those that it refers to.
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
  const others = blocked > 0 ? `. ${blocked} of them refer to one that failed` : "";
  return `${failed} of ${paths + reused + failed} store paths failed: ${told}${more}${others}`;
}

/** One line that names the path. */
export function describeFailedPath({ storePath, error }: FailedPath): string {
  return error.message.includes(storePath) ? error.message : `${storePath}: ${error.message}`;
}
