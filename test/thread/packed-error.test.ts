import { expect, test } from "vitest";
import { isStoreError, StoreError } from "../../src/error.ts";
import { FailedPathsError } from "../../src/store/failed-paths.ts";
import { packError, unpackError } from "../../src/thread/packed-error.ts";

const carried = (error: unknown): Error => unpackError(structuredClone(packError(error)));

test("a StoreError arrives as a StoreError with its causes", () => {
  const error = carried(
    new StoreError("corrupt", "blob 1", { cause: new StoreError("quota", "disk", { cause: new TypeError("no") }) }),
  );
  expect(error).toBeInstanceOf(StoreError);
  expect(error).toMatchObject({ code: "corrupt", message: "blob 1", cause: { code: "quota", cause: { name: "TypeError" } } });
  expect(error.cause).toBeInstanceOf(StoreError);
});

test("an abort error keeps its name; other errors become plain errors with their names", () => {
  expect(carried(new DOMException("left", "AbortError"))).toBeInstanceOf(DOMException);
  expect(carried(AbortSignal.timeout(0).reason ?? new DOMException("late", "TimeoutError"))).toMatchObject({
    name: "TimeoutError",
  });
  expect(carried(new RangeError("far"))).toMatchObject({ name: "RangeError", message: "far" });
  expect(carried("only text")).toMatchObject({ name: "Error", message: "only text" });
  expect(carried(undefined)).toMatchObject({ message: "undefined" });
});

test("a value that can't be cloned, a cycle of causes and an unknown code do no harm", () => {
  const cycle = new Error("round");
  cycle.cause = cycle;
  expect(carried(cycle)).toMatchObject({ message: "round", cause: { message: "round" } });
  expect(carried(Object.assign(new Error("with a function"), { callback: () => {} }))).toMatchObject({
    message: "with a function",
  });
  const unknown = { ...packError(new Error("strange")), code: "toString" as never };
  expect(unpackError(unknown)).not.toBeInstanceOf(StoreError);
});

test("a FailedPathsError arrives with its report", () => {
  const report = { paths: 3, bytes: 100, reused: 1, retried: 4, failed: 2 };
  const first = { storePath: "/nix/store/a", error: new StoreError("corrupt", "a is damaged", { cause: new TypeError("x") }) };
  const second = { storePath: "/nix/store/b", error: new StoreError("corrupt", "b needs a"), because: "/nix/store/a" };
  const error = new FailedPathsError([first, second], report);
  const arrived = carried(error);
  if (!(arrived instanceof FailedPathsError)) throw arrived;
  expect(arrived).toMatchObject({ name: "StoreError", code: "corrupt", message: error.message, stack: error.stack, report });
  expect(arrived.failures.map(({ storePath, because }) => [storePath, because])).toEqual([
    ["/nix/store/a", undefined],
    ["/nix/store/b", "/nix/store/a"],
  ]);
  for (const [i, failure] of arrived.failures.entries())
    expect([isStoreError(failure.error, "corrupt"), failure.error.message]).toEqual([true, error.failures[i]?.error.message]);
});
