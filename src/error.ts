/** The closed list of reasons an operation of the store can fail for. */
export const STORE_ERROR_CODES = [
  /** What was asked for, by digest or by path, is not in the store. */
  "not-found",
  /** Input breaks a rule of its format, or an argument is out of range. */
  "invalid",
  /** Bytes do not have the digest (or hash, or size) that they were stored or sent under. */
  "corrupt",
  /** The change does not go with what is stored already. */
  "conflict",
  /** The browser or the disk has no room left; what was stored before is still readable. */
  "quota",
  /** The store, worker or connection was closed. */
  "closed",
  /** A remote, a worker or a browser feature cannot be reached now. */
  "unavailable",
  /** Not permitted. */
  "denied",
  /** A defect of this library. */
  "internal",
] as const;

export type StoreErrorCode = (typeof STORE_ERROR_CODES)[number];

/**
 * The one error of this library. `message` names the object it is about; `cause` is what was caught, when something was.
 *
 * An operation that was aborted does not reject with a `StoreError` but with the signal's own `reason`.
 */
export class StoreError extends Error {
  override readonly name = "StoreError";
  readonly code: StoreErrorCode;

  constructor(code: StoreErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

/** Whether `value` is a `StoreError`, and if `code` is given, one with that code. */
export function isStoreError(value: unknown, code?: StoreErrorCode): value is StoreError {
  return value instanceof StoreError && (code === undefined || value.code === code);
}
