import { Code, ConnectError } from "@connectrpc/connect";
import { isStoreError, StoreError, type StoreErrorCode } from "../error.ts";

/** Conversion between `StoreError` codes and the gRPC status codes on the wire. */

const TO_STATUS: Record<StoreErrorCode, Code> = {
  "not-found": Code.NotFound,
  invalid: Code.InvalidArgument,
  corrupt: Code.DataLoss,
  conflict: Code.AlreadyExists,
  quota: Code.ResourceExhausted,
  closed: Code.Unavailable,
  unavailable: Code.Unavailable,
  denied: Code.PermissionDenied,
  internal: Code.Internal,
};

const FROM_STATUS: Record<Code, StoreErrorCode> = {
  [Code.Canceled]: "unavailable",
  // Usually not an answer of these protocols at all, but a page of a proxy or of a captive portal.
  [Code.Unknown]: "unavailable",
  [Code.InvalidArgument]: "invalid",
  [Code.DeadlineExceeded]: "unavailable",
  [Code.NotFound]: "not-found",
  [Code.AlreadyExists]: "conflict",
  [Code.PermissionDenied]: "denied",
  [Code.ResourceExhausted]: "quota",
  [Code.FailedPrecondition]: "conflict",
  [Code.Aborted]: "conflict",
  [Code.OutOfRange]: "invalid",
  [Code.Unimplemented]: "unavailable",
  [Code.Internal]: "internal",
  [Code.Unavailable]: "unavailable",
  [Code.DataLoss]: "corrupt",
  [Code.Unauthenticated]: "denied",
};

/**
 * Converts `error` to the error that a handler throws. A failure of neither this project nor the
 * protocol library becomes a plain INTERNAL, because its message was not written for clients.
 */
export function toConnectError(error: unknown): ConnectError {
  if (error instanceof ConnectError) return error;
  if (isStoreError(error)) return new ConnectError(error.message, TO_STATUS[error.code], undefined, undefined, error);
  if (error instanceof Error && error.name === "AbortError")
    return new ConnectError("canceled", Code.Canceled, undefined, undefined, error);
  return new ConnectError("internal error", Code.Internal, undefined, undefined, error);
}

/**
 * Converts the failure of a client's call. Returns the signal's reason, unwrapped, if `signal` is
 * aborted. Returns a `StoreError` unchanged.
 *
 * @param about the operation and the remote, for the message
 */
export function fromConnectError(error: unknown, about: string, signal?: AbortSignal): unknown {
  if (signal?.aborted) return signal.reason;
  if (isStoreError(error)) return error;
  const connectError = ConnectError.from(error);
  if (isStoreError(connectError.cause)) return connectError.cause;
  return new StoreError(clientCode(connectError), `${about}: ${connectError.rawMessage}`, { cause: error });
}

function clientCode(error: ConnectError): StoreErrorCode {
  if (isServersOwn(error)) return FROM_STATUS[error.code];
  // The server did not send this status itself. The connection broke, the answer was cut short, or
  // it was not in this protocol.
  if (error.code === Code.PermissionDenied || error.code === Code.Unauthenticated) return "denied";
  if (error.code === Code.ResourceExhausted) return "corrupt";
  return "unavailable";
}

/** Whether the server itself answered with this status, and not the library or a proxy. */
export function isStatus(error: unknown, code: Code): boolean {
  return error instanceof ConnectError && isServersOwn(error) && error.code === code;
}

/** Whether the server lacks the service, according to its answer or to the HTTP status for it. */
export function isUnimplemented(error: unknown): boolean {
  return error instanceof ConnectError && error.code === Code.Unimplemented;
}

/**
 * Whether the server sent this error. Such an error has the headers or trailers of the answer. An
 * error that the library made, for a broken connection or an unintelligible answer, may have any
 * code, but has no headers or trailers.
 */
function isServersOwn(error: ConnectError): boolean {
  return !error.metadata.keys().next().done;
}
