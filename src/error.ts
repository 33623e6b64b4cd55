/** All reasons for which a store operation can fail. The list is closed. */
export const STORE_ERROR_CODES = [
  /** The requested object (by digest or by path) is not in the store. */
  "not-found",
  /** Input breaks a rule of its format, or an argument is out of range. */
  "invalid",
  /** Bytes do not match the digest, hash or size under which they were stored or sent. */
  "corrupt",
  /** The change contradicts stored data. */
  "conflict",
  /** The browser or the disk has no room left. Data stored earlier is still readable. */
  "quota",
  /** The store, worker or connection was closed. */
  "closed",
  /** A remote, a worker or a browser feature is unreachable now. */
  "unavailable",
  /** The operation is not permitted. */
  "denied",
  /** This library has a bug. */
  "internal",
] as const;

export type StoreErrorCode = (typeof STORE_ERROR_CODES)[number];

/**
 * The only error class of this library. `message` names the object concerned; `cause` is the
 * underlying error, if there is one.
 *
 * An aborted operation does not reject with a `StoreError`, but with the signal's own `reason`.
 */
export class StoreError extends Error {
  override readonly name = "StoreError";
  readonly code: StoreErrorCode;

  constructor(code: StoreErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

/** Whether `value` is a `StoreError`, and has `code` if one is given. */
export function isStoreError(value: unknown, code?: StoreErrorCode): value is StoreError {
  return value instanceof StoreError && (code === undefined || value.code === code);
}

/** Resolves like `promise`, but to `undefined` if it rejects with a StoreError `corrupt`. */
export async function undefinedIfCorrupt<T>(promise: Promise<T>): Promise<T | undefined> {
  try {
    return await promise;
  } catch (error) {
    if (isStoreError(error, "corrupt")) return undefined;
    throw error;
  }
}
