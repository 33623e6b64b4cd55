import { expect, test } from "vitest";
import { StoreError } from "../../src/error.ts";
import { packError, unpackError } from "../../src/thread/packed-error.ts";

const carried = (error: unknown): Error => unpackError(structuredClone(packError(error)));

test("a StoreError comes out as one, with its causes", () => {
  const error = carried(
    new StoreError("corrupt", "blob 1", { cause: new StoreError("quota", "disk", { cause: new TypeError("no") }) }),
  );
  expect(error).toBeInstanceOf(StoreError);
  expect(error).toMatchObject({ code: "corrupt", message: "blob 1", cause: { code: "quota", cause: { name: "TypeError" } } });
  expect(error.cause).toBeInstanceOf(StoreError);
});

test("aborts keep the name that they are known by; other errors are plain ones with their name", () => {
  expect(carried(new DOMException("left", "AbortError"))).toBeInstanceOf(DOMException);
  expect(carried(AbortSignal.timeout(0).reason ?? new DOMException("late", "TimeoutError"))).toMatchObject({
    name: "TimeoutError",
  });
  expect(carried(new RangeError("far"))).toMatchObject({ name: "RangeError", message: "far" });
  expect(carried("only text")).toMatchObject({ name: "Error", message: "only text" });
  expect(carried(undefined)).toMatchObject({ message: "undefined" });
});

test("what can't be cloned, a cycle of causes, or a code that nobody knows does no harm", () => {
  const cycle = new Error("round");
  cycle.cause = cycle;
  expect(carried(cycle)).toMatchObject({ message: "round", cause: { message: "round" } });
  expect(carried(Object.assign(new Error("with a function"), { callback: () => {} }))).toMatchObject({
    message: "with a function",
  });
  const unknown = { ...packError(new Error("strange")), code: "toString" as never };
  expect(unpackError(unknown)).not.toBeInstanceOf(StoreError);
});
