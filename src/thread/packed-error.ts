import { STORE_ERROR_CODES, StoreError, type StoreErrorCode } from "../error.ts";

/**
 * Errors in a form that `postMessage` carries whole. Structured clone keeps neither the class nor the `code` of an error, and
 * nothing at all of an object that it can't clone.
 */
export interface ThreadError {
  readonly name: string;
  readonly message: string;
  readonly stack?: string | undefined;
  readonly code?: StoreErrorCode | undefined;
  readonly cause?: ThreadError | undefined;
}

/** Deep enough for any real chain of causes; a cycle ends here too. */
const MAX_CAUSES = 16;

export function packError(error: unknown, depth = 0): ThreadError {
  if (!(error instanceof Error)) return { name: "Error", message: String(error) };
  return {
    name: error.name,
    message: error.message,
    stack: error.stack,
    code: error instanceof StoreError ? error.code : undefined,
    cause: error.cause === undefined || depth === MAX_CAUSES ? undefined : packError(error.cause, depth + 1),
  };
}

export function unpackError(packed: ThreadError): Error {
  const options = packed.cause && { cause: unpackError(packed.cause) };
  const code = STORE_ERROR_CODES.find((known) => known === packed.code);
  if (code) return withStack(new StoreError(code, packed.message, options), packed);
  // Aborts and quota errors are recognised by the name that the platform gave them.
  if (packed.name === "AbortError" || packed.name === "TimeoutError") return new DOMException(packed.message, packed.name);
  const error = new Error(packed.message, options);
  error.name = packed.name;
  return withStack(error, packed);
}

function withStack<E extends Error>(error: E, { stack }: ThreadError): E {
  if (stack) error.stack = stack;
  return error;
}
