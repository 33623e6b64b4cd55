import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { STORE_ERROR_CODES, StoreError } from "../../src/error.ts";
import { fromConnectError, isStatus, isUnimplemented, toConnectError } from "../../src/wire/status.ts";

/** Makes an error that a server sent: it has headers or trailers. */
function sent(code: Code): ConnectError {
  return new ConnectError("sent", code, { "grpc-status": String(code) });
}

/** Makes an error of the library. */
function made(code: Code): ConnectError {
  return new ConnectError("made", code);
}

function codeOf(error: unknown): unknown {
  const converted = fromConnectError(error, "reading, x");
  return converted instanceof StoreError ? converted.code : converted;
}

test("a client gets the code that the server's code threw", () => {
  for (const code of STORE_ERROR_CODES) {
    const { code: status, rawMessage } = toConnectError(new StoreError(code, "why"));
    expect(rawMessage).toBe("why");
    // A closed server and an unreachable one are the same for a client.
    expect(codeOf(sent(status))).toBe(code === "closed" ? "unavailable" : code);
  }
});

describe("the error of a handler", () => {
  test("keeps a status, and hides the message of any other error", () => {
    const error = sent(Code.Aborted);
    expect(toConnectError(error)).toBe(error);
    for (const unknown of [new TypeError("secret"), "secret", undefined]) {
      const converted = toConnectError(unknown);
      expect([converted.code, converted.rawMessage, converted.cause]).toEqual([Code.Internal, "internal error", unknown]);
    }
  });

  test("is a cancellation if the request was aborted", () => {
    expect(toConnectError(new DOMException("aborted", "AbortError")).code).toBe(Code.Canceled);
  });
});

describe("the failure of a call", () => {
  test("is the signal's reason after an abort, whatever the failure", () => {
    const reason = { why: "enough" };
    for (const error of [sent(Code.NotFound), new StoreError("corrupt", "x")])
      expect(fromConnectError(error, "reading", AbortSignal.abort(reason))).toBe(reason);
    expect(fromConnectError(sent(Code.NotFound), "reading", new AbortController().signal)).toMatchObject({ code: "not-found" });
  });

  test("stays a StoreError, also inside the library's error", () => {
    const error = new StoreError("corrupt", "x");
    expect(fromConnectError(error, "reading")).toBe(error);
    expect(fromConnectError(new ConnectError("x", Code.Internal, undefined, undefined, error), "reading")).toBe(error);
  });

  test("names the operation, and has the library's error as its cause", () => {
    const error = sent(Code.NotFound);
    expect(fromConnectError(error, "reading blob, x")).toMatchObject({ message: "reading blob, x: sent", cause: error });
  });

  test.each([
    [Code.Canceled, "unavailable"],
    [Code.Unknown, "unavailable"],
    [Code.DeadlineExceeded, "unavailable"],
    [Code.FailedPrecondition, "conflict"],
    [Code.Aborted, "conflict"],
    [Code.OutOfRange, "invalid"],
    [Code.Unimplemented, "unavailable"],
    [Code.Unauthenticated, "denied"],
    [Code.ResourceExhausted, "quota"],
  ])("has a code for the status %d of the server: %s", (status, code) => {
    expect(codeOf(sent(status))).toBe(code);
  });

  test.each([
    // The library answers so for a message that is too long, and for HTTP statuses of a proxy.
    [Code.ResourceExhausted, "corrupt"],
    [Code.PermissionDenied, "denied"],
    [Code.Unauthenticated, "denied"],
    [Code.Internal, "unavailable"],
    [Code.InvalidArgument, "unavailable"],
    [Code.NotFound, "unavailable"],
    [Code.DataLoss, "unavailable"],
  ])("is no answer of the server if the library made the status %d: %s", (status, code) => {
    expect(codeOf(made(status))).toBe(code);
  });

  test("of the platform is unavailable", () => {
    expect(codeOf(new TypeError("fetch failed"))).toBe("unavailable");
    expect(codeOf("x")).toBe("unavailable");
  });
});

test("a status counts only if the server sent it, but a missing service also by an HTTP status", () => {
  expect(isStatus(sent(Code.NotFound), Code.NotFound)).toBe(true);
  expect(isStatus(sent(Code.NotFound), Code.Internal)).toBe(false);
  expect(isStatus(made(Code.NotFound), Code.NotFound)).toBe(false);
  expect(isStatus(new Error("x"), Code.NotFound)).toBe(false);
  for (const error of [sent(Code.Unimplemented), made(Code.Unimplemented)]) expect(isUnimplemented(error)).toBe(true);
  for (const error of [sent(Code.NotFound), new Error("x"), undefined]) expect(isUnimplemented(error)).toBe(false);
});
