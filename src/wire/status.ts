import { Code, ConnectError } from "@connectrpc/connect";
import { isStoreError, StoreError, type StoreErrorCode } from "../error.ts";

/** The two vocabularies of failure: `StoreError` codes here, gRPC status codes on the wire. */

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
  // Mostly what is no answer of these protocols at all: a proxy's page, a portal's.
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
 * What a handler throws for `error`. A failure that is neither ours nor the protocol library's says nothing to the client but
 * INTERNAL, because its message was not written for one.
 */
export function toConnectError(error: unknown): ConnectError {
  if (error instanceof ConnectError) return error;
  if (isStoreError(error)) return new ConnectError(error.message, TO_STATUS[error.code], undefined, undefined, error);
  if (error instanceof Error && error.name === "AbortError")
    return new ConnectError("canceled", Code.Canceled, undefined, undefined, error);
  return new ConnectError("internal error", Code.Internal, undefined, undefined, error);
}

/**
 * What a client makes of a call's failure. If `signal` was aborted that is the reason, unwrapped; a `StoreError` is answered as it
 * is.
 *
 * @param about what was asked of whom, for the message
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
  // Not the server's own words: the connection broke, the answer was cut short, or it was not one of this protocol.
  if (error.code === Code.PermissionDenied || error.code === Code.Unauthenticated) return "denied";
  if (error.code === Code.ResourceExhausted) return "corrupt";
  return "unavailable";
}

/** Whether the server itself, and not the library or something between, answered with this status. */
export function isStatus(error: unknown, code: Code): boolean {
  return error instanceof ConnectError && isServersOwn(error) && error.code === code;
}

/** Whether there is no such service behind the connection: said by the server, or by the HTTP status that stands for it. */
export function isUnimplemented(error: unknown): boolean {
  return error instanceof ConnectError && error.code === Code.Unimplemented;
}

/**
 * An error that the server answered comes with the headers or trailers that it was in. One that the library made up itself, when a
 * connection broke or an answer made no sense, may have any code but has none of these.
 */
function isServersOwn(error: ConnectError): boolean {
  return !error.metadata.keys().next().done;
}
