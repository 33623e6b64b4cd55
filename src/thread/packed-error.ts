import { STORE_ERROR_CODES, StoreError, type StoreErrorCode } from "../error.ts";
import { FailedPathsError, type PathsReport } from "../store/failed-paths.ts";

/**
 * An error in a form that `postMessage` carries completely. Structured clone drops the class and
 * the `code` of an error, and fails on a property that it can't clone.
 */
export interface ThreadError {
  readonly name: string;
  readonly message: string;
  readonly stack?: string | undefined;
  readonly code?: StoreErrorCode | undefined;
  readonly cause?: ThreadError | undefined;
  /** Present for a `FailedPathsError`. */
  readonly failedPaths?: PackedFailedPaths | undefined;
}

interface PackedFailedPaths {
  readonly failures: readonly { storePath: string; code: StoreErrorCode; message: string; because: string | undefined }[];
  readonly report: PathsReport;
}

/** Maximum length of the chain of causes: enough for any real chain, and it ends a cycle. */
const MAX_CAUSES = 16;

export function packError(error: unknown, depth = 0): ThreadError {
  if (!(error instanceof Error)) return { name: "Error", message: String(error) };
  return {
    name: error.name,
    message: error.message,
    stack: error.stack,
    code: error instanceof StoreError ? error.code : undefined,
    cause: error.cause === undefined || depth === MAX_CAUSES ? undefined : packError(error.cause, depth + 1),
    failedPaths: error instanceof FailedPathsError ? packFailedPaths(error) : undefined,
  };
}

/** Packs the failures without stacks and causes, because there may be very many. */
function packFailedPaths({ failures, report }: FailedPathsError): PackedFailedPaths {
  return {
    failures: failures.map(({ storePath, error: { code, message }, because }) => ({ storePath, code, message, because })),
    report,
  };
}

export function unpackError(packed: ThreadError): Error {
  const options = packed.cause && { cause: unpackError(packed.cause) };
  if (packed.failedPaths) {
    const { failures, report } = packed.failedPaths;
    const unpacked = failures.map(({ storePath, code, message, because }) => ({
      storePath,
      error: new StoreError(code, message),
      because,
    }));
    return withStack(new FailedPathsError(unpacked, report), packed);
  }
  const code = STORE_ERROR_CODES.find((known) => known === packed.code);
  if (code) return withStack(new StoreError(code, packed.message, options), packed);
  // Callers recognise aborts and timeouts by the platform's names for them.
  if (packed.name === "AbortError" || packed.name === "TimeoutError") return new DOMException(packed.message, packed.name);
  const error = new Error(packed.message, options);
  error.name = packed.name;
  return withStack(error, packed);
}

function withStack<E extends Error>(error: E, { stack }: ThreadError): E {
  if (stack) error.stack = stack;
  return error;
}
